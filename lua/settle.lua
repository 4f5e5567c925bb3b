--[[
Settle claims: append what the venue answered to each to `evidence`, and acknowledge its intent or keep it, in one step.

KEYS[1]   intents stream
KEYS[2]   evidence stream
KEYS[3]   control hash
KEYS[4+]  order hashes, one per item of the plan

ARGV[1]  plan, msgpack: list of maps {client_order_id, entry, token, command, evidence, size, again}; command is place,
         cancel or amend; evidence is JSON; size says how many bytes of ARGV[3] are its; again says that nothing of an
         amend was sent, so it may be claimed again and its entry stays pending
ARGV[2]  consumer group of intents
ARGV[3]  the venue's bytes of all items, one behind the other

Returns {verdict …}, one per item
  'settled'   appended, and the entry is acknowledged or kept; also for a repeated call, which appends nothing
  'appended'  appended, but the record does not have this claim or the history changed: the entry stays pending; a call
              that is soon repeated appends nothing
]]
--@include server
local intents, evidence, control = KEYS[1], KEYS[2], KEYS[3]
local plan, group, bytes = cmsgpack.unpack(ARGV[1]), ARGV[2], ARGV[3]

-- The evidence is appended whatever the history: it is the venue's word, and never wrong to know.
local function append(item, raw)
  if raw == '' then
    redis.call('XADD', evidence, '*', 'data', item.evidence)
  else
    redis.call('XADD', evidence, '*', 'data', item.evidence, 'raw', raw)
  end
end

-- No record may remember this one, so the stream does: a repeated call is near its end, byte for byte the same.
local function append_once(item, raw)
  for _, row in ipairs(redis.call('XREVRANGE', evidence, '+', '-', 'COUNT', 256)) do
    if row[2][2] == item.evidence and (row[2][4] or '') == raw then return 'appended' end
  end
  append(item, raw)
  return 'appended'
end

local changed, done = history_changed(control), {}

local function settle(order, item, raw)
  if changed then return append_once(item, raw) end
  local token, prefix = item.token, item.command == 'cancel' and 'cancel_' or ''
  local known = redis.call('HMGET', order, prefix .. 'token', prefix .. 'settled')
  if known[1] ~= token then return append_once(item, raw) end
  -- The next claim removes the mark; records of the version before have the token in it instead.
  if known[2] == '1' or (known[2] and string.sub(known[2], 1, #token) == token) then return 'settled' end
  append(item, raw)
  redis.call('HSET', order, prefix .. 'settled', '1')
  if item.again then
    redis.call('HSET', order, 'retry', token)
  else
    done[#done + 1] = item.entry
  end
  return 'settled'
end

local answers, at = {}, 1
for index, item in ipairs(plan) do
  answers[index] = settle(KEYS[3 + index], item, string.sub(bytes, at, at + item.size - 1))
  at = at + item.size
end
if #done > 0 then redis.call('XACK', intents, group, unpack(done)) end
return answers
