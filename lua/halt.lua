--[[
Turn a switch on or off: halt claims, let only those go on that reduce a position, or resume; or say that the orders of
a scope are being cancelled.

KEYS[1]  control hash
KEYS[2]  events stream

ARGV[1]  halt | reduce | resume | cancel
ARGV[2]  reason, JSON string
ARGV[3]  who, JSON string
ARGV[4]  scope as fields end: empty for the account, else a colon and global, strategy:NAME or symbol:SYMBOL
ARGV[5]  scope, JSON string
ARGV[6]  cancel: a token never used again; else empty

Returns {'halted' | 'reducing' | 'trading' | 'cancelling', server time in ms}
]]
--@include server
--@include journal
local control, events = KEYS[1], KEYS[2]
local action, reason, who, scope, told = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local now, to = now_ms(), 'trading'
if action == 'cancel' then
  if redis.call('HGET', control, 'clearing') ~= ARGV[6] then
    redis.call('HSET', control, 'clearing', ARGV[6])
    journal(events, 'halt', now, {'{"kind":"clearing","id":"clearing:' .. ARGV[6] .. '","reason":' .. reason ..
      ',"who":' .. who .. ',"scope":' .. told .. '}'})
  end
  return {'cancelling', digits(now)}
end
if action == 'halt' then to = 'halted' elseif action == 'reduce' then to = 'reducing' end
local known = redis.call('HMGET', control, 'halt' .. scope, 'reduce' .. scope)
local same = not known[1] and not known[2]
if action == 'halt' then same = known[1] == reason elseif action == 'reduce' then same = known[2] == reason end
if same then return {to, digits(now)} end -- it is so already: a repeated call
if action == 'resume' then
  redis.call('HDEL', control, 'halt' .. scope, 'reduce' .. scope)
else
  redis.call('HSET', control, action .. scope, reason)
end
-- What was judged under the old switches is judged again.
redis.call('HSET', control, 'exposure', 'switched:' .. digits(now), 'switched_at', digits(now))
journal(events, 'halt', now, {'{"kind":"switched","id":"' .. action .. ':' .. digits(now) .. '","to":"' .. to ..
  '","reason":' .. reason .. ',"who":' .. who .. ',"scope":' .. told .. '}'})
return {to, digits(now)}
