--[[
Take, keep or give back the ledger's lease of an account.

KEYS[1]  control hash

ARGV[1]  take | release
ARGV[2]  holder: name of the ledger, unique per process
ARGV[3]  lease in ms

Returns {epoch, holder, ms left}: ours if the holder is ours; 0 ms left after a release
Errors  HISTORY_CHANGED
]]
--@include server
local control = KEYS[1]
local action, holder, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

if history_changed(control) then return refuse_history() end

local now = now_ms()
local known = redis.call('HMGET', control, 'ledger_epoch', 'ledger_holder', 'ledger_until')
local epoch, owner, left_ms = tonumber(known[1] or '0'), known[2] or '', tonumber(known[3] or '0') - now

if action == 'release' then
  if owner == holder then redis.call('HSET', control, 'ledger_until', '0') end
  return {digits(epoch), owner, '0'}
end
if owner == holder and left_ms > 0 then
  redis.call('HSET', control, 'ledger_until', digits(now + lease_ms))
  return {digits(epoch), holder, digits(lease_ms)}
end
if left_ms > 0 then return {digits(epoch), owner, digits(left_ms)} end
redis.call('HSET', control, 'ledger_epoch', digits(epoch + 1), 'ledger_holder', holder, 'ledger_until',
  digits(now + lease_ms))
return {digits(epoch + 1), holder, digits(lease_ms)}
