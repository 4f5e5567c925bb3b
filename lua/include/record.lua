-- An order's record as every caller reads it: the same fields in the same order as `streams.record.FIELDS`, behind the
-- call that made it, in whose place a script puts its verdict.
local function read_record(key)
  return redis.call('HMGET', key, 'call', 'terms', 'status', 'state', 'digest', 'fingerprint', 'entry', 'token',
    'send_by', 'valid_until', 'cancel', 'sent', 'refusal', 'amend')
end

-- What `publish` and `claim` write when an identity is seen for the first time, with further fields of theirs.
-- Returns the change for the journal.
local function create_record(key, id, terms, state, digest, fingerprint, valid_until, entry, ...)
  redis.call('HSET', key, 'terms', terms, 'status', 'created', 'state', state, 'digest', digest,
    'fingerprint', fingerprint, 'entry', entry, 'valid_until', valid_until, ...)
  return '{"kind":"created","id":"' .. digest .. '","client_order_id":"' .. id .. '","terms":' .. terms ..
    ',"fingerprint":"' .. fingerprint .. '","valid_until_ms":' .. valid_until .. ',"entry":"' .. entry .. '"}'
end

-- End an order of which nothing was sent; reason is a JSON string.
local function end_record(key, client_order_id, status, reason, live, ended, now, changes)
  redis.call('HSET', key, 'status', status, 'refusal', reason)
  redis.call('ZREM', live, client_order_id)
  redis.call('ZADD', ended, now, client_order_id)
  changes[#changes + 1] = '{"kind":"ended","id":"' .. status .. ':' .. client_order_id ..
    '","client_order_id":"' .. client_order_id .. '","status":"' .. status .. '","reason":' .. reason .. '}'
end
