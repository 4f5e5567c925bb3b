--[[
Claim entries of `intents` for sending: the last atomic check before the socket.

KEYS[1]   intents stream
KEYS[2]   events stream
KEYS[3]   control hash
KEYS[4]   live sorted set
KEYS[5]   ended sorted set
KEYS[6+]  spent sets of the months in ARGV[6], then order hashes, one per item of the plan

ARGV[1]  plan, msgpack: list of maps {command, entry, token, client_order_id, fingerprint, valid_until_ms, terms, state,
         digest, sent, kept_terms, kept_sent, refusal, strategy, symbol, judged, reduces, waits, rate, revision, who}; command is place, cancel or
         amend; sent is JSON of the amounts to send, of an amend with its revision and fingerprint; kept_terms and
         kept_sent are what the record of a place that is sent keeps of both, kept_sent may be empty; refusal is a JSON
         string when a limit forbids sending, else empty; judged says that it was held against the exposure of ARGV[8],
         reduces that by it the order can only make the position smaller, waits that those behind it were judged as if
         it were not sent; rate is what is kept of the strategy's orders of this second, may be empty; who is a JSON
         string that names who asks for a cancel, may be empty
ARGV[2]  consumer group
ARGV[3]  gateway
ARGV[4]  send window in ms
ARGV[5]  first look in ms after now, for a record made here
ARGV[6]  months of spent identities, comma separated, as the control hash has them
ARGV[7]  name of the gate's opening that the caller has passed
ARGV[8]  name of the exposure that judged items were held against

Returns {now in ms, verdict …}, one verdict per item
  {'claimed', send_by in ms, record …}  send it; the entry is acknowledged by settle
  {'busy'}                              another claim of it is open, or it does not rest yet; the entry stays pending
  {'halted'}                            a halt is on it; the entry stays pending
  {'stale'}                             the exposure is another one now: judge it again
  {'reducing'}                          only what reduces the position may go out: judge it
  {'gap'}                               the account is not ready for new exposure: what was judged and does not reduce
                                        the position stays pending, anything else is to be judged
  {'conflict', fingerprint}             other content under the same identity; the caller quarantines the entry
  {'done', status}                      nothing is to be sent; the entry is acknowledged
Errors  HISTORY_CHANGED, GATE_MOVED, SPENT_CHANGED
]]
--@include server
--@include journal
--@include record
--@include spent
local intents, events, control, live, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local plan, group, gateway = cmsgpack.unpack(ARGV[1]), ARGV[2], ARGV[3]
local window_ms, look_ms = tonumber(ARGV[4]), tonumber(ARGV[5])
local months = count_months(ARGV[6])

local refused = refusal(control, ARGV[7], ARGV[6])
if refused then return refused end

local now, changes, finished = now_ms(), {}, {}
local ready = redis.call('HMGET', control, 'exposure', 'stream_until', 'starting')
local stale = (ready[1] or '') ~= ARGV[8]
-- Fills may be missing here while nobody hears the private stream, and until an account has started in order.
local gap = (ready[2] and tonumber(ready[2]) <= now) or ready[3]

-- A switch is on for the account, for all accounts, for a strategy or for a symbol.
local function switched(name, item)
  local found = redis.call('HMGET', control, name, name .. ':global', name .. ':strategy:' .. item.strategy,
    name .. ':symbol:' .. item.symbol)
  return (found[1] or found[2] or found[3] or found[4]) and true or false
end

local function done(item, status)
  finished[#finished + 1] = item.entry
  return {'done', status}
end

local function claimed(key, send_by)
  local record = read_record(key)
  record[1] = digits(send_by)
  table.insert(record, 1, 'claimed')
  return record
end

local function take(key, item, command, send_by, sent)
  changes[#changes + 1] = '{"kind":"claimed","id":"' .. item.token .. '","client_order_id":"' .. item.client_order_id ..
    '","token":"' .. item.token .. '","gateway":"' .. gateway .. '","command":"' .. command ..
    '","send_by_ms":' .. digits(send_by) .. ',"sent":' .. sent ..
    (command == 'place' and '}' or ',"entry":"' .. item.entry .. '"}')
  return claimed(key, send_by)
end

local function doubt(key, item, token)
  redis.call('HSET', key, 'status', 'unknown')
  redis.call('ZADD', live, now, item.client_order_id)
  changes[#changes + 1] = '{"kind":"doubted","id":"doubt:' .. token .. '","client_order_id":"' ..
    item.client_order_id .. '","token":"' .. token .. '"}'
  return done(item, 'unknown')
end

-- `submitting` has an owner while its window is open; afterwards only the venue can say what became of it.
local function in_flight(key, item, token, send_by)
  if token == item.token then
    redis.call('HSET', key, 'token', token) -- a write, so that WAIT here speaks of the claim
    return claimed(key, send_by)
  end
  if now <= send_by then return {'busy'} end
  return doubt(key, item, token)
end

-- What keeps an item from being sent now: {verdict}, or nothing; {'refused'} where a limit forbids it.
local function kept_back(item)
  local halted = switched('halt', item)
  if not halted and item.judged and (stale or (item.waits and not gap)) then return {'stale'} end
  -- It waits before a limit can reject it: what is counted against the limit may have ended unheard, and under a halt
  -- nobody looks whether the book it was judged by is still the account's.
  if gap and not halted and not item.reduces and (item.judged or item.refusal == '') then return {'gap'} end
  if halted and (item.judged or item.refusal == '') then return {'halted'} end
  if item.refusal ~= '' then return {'refused'} end
  if not item.reduces and switched('reduce', item) then return {'reducing'} end
  return nil
end

local function place(key, item)
  local known = redis.call('HMGET', key, 'status', 'fingerprint', 'entry', 'token', 'send_by', 'valid_until', 'cancel')
  local status, fingerprint, entry = known[1], known[2], known[3]
  if not status then
    if is_spent(item.client_order_id, KEYS, 6, months) then return done(item, 'spent') end
    changes[#changes + 1] = create_record(key, item.client_order_id, item.terms, item.state, item.digest,
      item.fingerprint, digits(item.valid_until_ms), item.entry)
    redis.call('ZADD', live, math.min(now + look_ms, item.valid_until_ms + 1), item.client_order_id)
    known[6] = item.valid_until_ms
  elseif fingerprint ~= item.fingerprint and fingerprint ~= '' then
    return {'conflict', fingerprint}
  elseif entry ~= item.entry then
    return done(item, status) -- the entry that won speaks for the order
  elseif status == 'submitting' then
    return in_flight(key, item, known[4], tonumber(known[5]))
  elseif status ~= 'created' then
    return done(item, status)
  end
  if known[7] then
    end_record(key, item.client_order_id, 'cancelled', '"cancelled before it was sent"', live, ended, now, changes)
    return done(item, 'cancelled')
  end
  local valid_until = tonumber(known[6])
  if valid_until <= now then
    end_record(key, item.client_order_id, 'expired', '"valid_until passed before it was sent"', live, ended, now, changes)
    return done(item, 'expired')
  end
  local verdict = kept_back(item)
  if verdict and verdict[1] == 'refused' then
    end_record(key, item.client_order_id, 'rejected', item.refusal, live, ended, now, changes)
    return done(item, 'rejected')
  end
  if verdict then return verdict end
  if known[4] == item.token then return {'busy'} end -- repeated after that claim was closed: a token is used once
  local send_by = math.min(now + window_ms, valid_until)
  redis.call('HSET', key, 'status', 'submitting', 'token', item.token, 'send_by', digits(send_by),
    'terms', item.kept_terms)
  if known[4] then redis.call('HDEL', key, 'sent', 'settled') end -- of the claim before
  if item.kept_sent ~= '' then redis.call('HSET', key, 'sent', item.kept_sent) end
  redis.call('ZADD', live, send_by + 1, item.client_order_id)
  redis.call('HSET', control, 'exposure', item.token)
  if item.rate ~= '' then redis.call('HSET', control, 'rate:' .. item.strategy, item.rate) end
  return take(key, item, 'place', send_by, item.sent)
end

-- How a change ends that a cancel makes: which entry asks for it, and who.
local function asked_by(item)
  return '","entry":"' .. item.entry .. (item.who ~= '' and '","who":' .. item.who .. '}' or '"}')
end

local function request_cancel(key, item)
  if redis.call('HSETNX', key, 'cancel', '1') == 1 then
    changes[#changes + 1] = '{"kind":"cancel_requested","id":"cancel:' .. item.client_order_id ..
      '","client_order_id":"' .. item.client_order_id .. asked_by(item)
  end
end

local function cancel(key, item)
  local known = redis.call('HMGET', key, 'status', 'cancel_token', 'cancel_by')
  local status = known[1]
  if not status then
    if is_spent(item.client_order_id, KEYS, 6, months) then return done(item, 'spent') end
    redis.call('HSET', key, 'status', 'cancelled', 'state', item.state, 'digest', item.digest, 'fingerprint', '',
      'cancel', '1')
    redis.call('ZADD', ended, now, item.client_order_id)
    changes[#changes + 1] = '{"kind":"tombstone","id":"tombstone:' .. item.client_order_id ..
      '","client_order_id":"' .. item.client_order_id .. asked_by(item)
    return done(item, 'cancelled')
  end
  if status == 'created' then
    request_cancel(key, item)
    end_record(key, item.client_order_id, 'cancelled', '"cancelled before it was sent"', live, ended, now, changes)
    return done(item, 'cancelled')
  end
  if status == 'submitting' or status == 'unknown' then
    request_cancel(key, item) -- acts when the outcome is known
    return done(item, status)
  end
  if status ~= 'open' and status ~= 'partially_filled' then
    -- Evidence that comes late may show that it lives after all; it is cancelled then.
    if status ~= 'filled' then request_cancel(key, item) end
    return done(item, status)
  end
  if known[2] == item.token then return claimed(key, tonumber(known[3])) end -- repeated: the window stays
  request_cancel(key, item)
  if known[2] and now <= tonumber(known[3]) then return done(item, status) end
  local send_by = now + window_ms
  redis.call('HSET', key, 'cancel_token', item.token, 'cancel_by', digits(send_by))
  if known[2] then redis.call('HDEL', key, 'cancel_settled') end -- of the claim before
  redis.call('ZADD', live, send_by + 1, item.client_order_id) -- whatever comes of it, somebody looks again
  return take(key, item, 'cancel', send_by, '{}')
end

local function decline(key, item, reason)
  redis.call('HSET', key, 'revision', digits(item.revision), 'revised', item.fingerprint)
  changes[#changes + 1] = '{"kind":"declined","id":"declined:' .. digits(item.revision) .. ':' ..
    item.client_order_id .. '","client_order_id":"' .. item.client_order_id .. '","revision":' ..
    digits(item.revision) .. ',"fingerprint":"' .. item.fingerprint .. '","reason":' .. reason .. ',"entry":"' ..
    item.entry .. '"}'
  return done(item, 'decided')
end

-- An amend that was seen before: {verdict}, or nothing when it may be claimed again.
local function amended(key, item, token, send_by, revised, amend, retry)
  if revised and revised ~= item.fingerprint then return {'conflict', revised} end
  if not amend then
    if retry and retry == token then return nil end -- nothing of it was sent
    return done(item, 'decided')
  end
  if token == item.token then
    redis.call('HSET', key, 'token', token) -- a write, so that WAIT here speaks of the claim
    return claimed(key, send_by)
  end
  if now <= send_by then return {'busy'} end
  return done(item, 'doubted') -- a look-up tells what became of it
end

-- An amend acts on an order that rests, one at a time; its claim is the record's, as a place's is.
local function amend(key, item)
  local known = redis.call('HMGET', key, 'status', 'token', 'send_by', 'cancel', 'revision', 'revised', 'amend', 'retry')
  local status, revision = known[1], tonumber(known[5] or '0')
  if not status then return done(item, 'absent') end
  if item.revision < revision then return done(item, 'decided') end -- the newest wins
  if item.revision == revision then
    local before = amended(key, item, known[2], tonumber(known[3]), known[6], known[7], known[8])
    if before then return before end
  end
  local rests = status == 'open' or status == 'partially_filled'
  local waits = status == 'created' or status == 'submitting' or status == 'unknown'
  if not rests and not waits then return decline(key, item, '"the order has ended"') end
  if known[4] then return decline(key, item, '"a cancel was requested"') end
  if item.valid_until_ms <= now then return decline(key, item, '"valid_until passed before it was sent"') end
  if waits or known[7] then return {'busy'} end
  local verdict = kept_back(item)
  if verdict and verdict[1] == 'refused' then return decline(key, item, item.refusal) end
  if verdict then return verdict end
  if known[2] == item.token then return {'busy'} end -- repeated after that claim was closed: a token is used once
  local send_by = math.min(now + window_ms, item.valid_until_ms)
  redis.call('HSET', key, 'token', item.token, 'send_by', digits(send_by), 'amend', item.sent,
    'revision', digits(item.revision), 'revised', item.fingerprint)
  redis.call('HDEL', key, 'settled') -- of the claim before
  redis.call('ZADD', live, send_by + 1, item.client_order_id) -- whatever comes of it, somebody looks
  redis.call('HSET', control, 'exposure', item.token)
  if item.rate ~= '' then redis.call('HSET', control, 'rate:' .. item.strategy, item.rate) end
  return take(key, item, 'amend', send_by, item.sent)
end

local HANDLE = {place = place, cancel = cancel, amend = amend}
local answers = {digits(now)}
for index, item in ipairs(plan) do
  local key = KEYS[5 + months + index]
  answers[index + 1] = HANDLE[item.command](key, item)
end
if #finished > 0 then redis.call('XACK', intents, group, unpack(finished)) end
journal(events, 'claim', now, changes)
return answers
