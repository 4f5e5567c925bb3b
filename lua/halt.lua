--[[
Halt an account's claims, or resume them.

KEYS[1]  control hash
KEYS[2]  events stream

ARGV[1]  halt | resume
ARGV[2]  reason, JSON string
ARGV[3]  who, JSON string

Returns {'halted' | 'trading', server time in ms}
]]
--@include server
--@include journal
local control, events = KEYS[1], KEYS[2]
local action, reason, who = ARGV[1], ARGV[2], ARGV[3]

local now, known = now_ms(), redis.call('HGET', control, 'halt')
if (action == 'halt' and known == reason) or (action ~= 'halt' and not known) then
  return {action == 'halt' and 'halted' or 'trading', digits(now)} -- it is so already: a repeated call
end
if action == 'halt' then
  redis.call('HSET', control, 'halt', reason)
else
  redis.call('HDEL', control, 'halt')
end
journal(events, 'halt', now, {'{"kind":"switched","id":"' .. action .. ':' .. digits(now) .. '","to":"' ..
  (action == 'halt' and 'halted' or 'trading') .. '","reason":' .. reason .. ',"who":' .. who .. '}'})
return {action == 'halt' and 'halted' or 'trading', digits(now)}
