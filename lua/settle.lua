--[[
Settle a claim: append what the venue answered to `evidence`, and acknowledge the intent or keep it, in one step.

KEYS[1]  order hash
KEYS[2]  intents stream
KEYS[3]  evidence stream
KEYS[4]  control hash

ARGV[1]  consumer group of intents
ARGV[2]  entry id of the intent
ARGV[3]  token of the claim
ARGV[4]  place | cancel | amend
ARGV[5]  evidence, JSON
ARGV[6]  the venue's bytes, may be empty
ARGV[7]  done | again: an amend of which nothing was sent may be claimed again; its entry stays pending

Returns
  'settled'   appended, and the entry is acknowledged or kept; also for a repeated call, which appends nothing
  'appended'  appended, but the record does not have this claim or the history changed: the entry stays pending; a call
              that is soon repeated appends nothing
]]
--@include server
local order, intents, evidence, control = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, entry, token, command = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- The evidence is appended whatever the history: it is the venue's word, and never wrong to know.
local function append()
  if ARGV[6] == '' then
    redis.call('XADD', evidence, '*', 'data', ARGV[5])
  else
    redis.call('XADD', evidence, '*', 'data', ARGV[5], 'raw', ARGV[6])
  end
end

-- No record may remember this one, so the stream does: a repeated call is near its end, byte for byte the same.
local function append_once()
  for _, row in ipairs(redis.call('XREVRANGE', evidence, '+', '-', 'COUNT', 256)) do
    if row[2][2] == ARGV[5] and (row[2][4] or '') == ARGV[6] then return 'appended' end
  end
  append()
  return 'appended'
end

if history_changed(control) then return append_once() end

local prefix = command == 'cancel' and 'cancel_' or ''
local known = redis.call('HMGET', order, prefix .. 'token', prefix .. 'settled')
if known[1] ~= token then return append_once() end
-- The next claim removes the mark; records of the version before have the token in it instead.
if known[2] == '1' or (known[2] and string.sub(known[2], 1, #token) == token) then return 'settled' end

append()
redis.call('HSET', order, prefix .. 'settled', '1')
if ARGV[7] == 'again' then
  redis.call('HSET', order, 'retry', token)
else
  redis.call('XACK', intents, group, entry)
end
return 'settled'
