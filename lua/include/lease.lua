-- The ledger's lease. Its epoch fences a ledger that was away; its end lets another one take over.
local function refuse_lease()
  return redis.error_reply('LEASE_LOST another ledger leads this account')
end

local function renew_lease(control, epoch, lease_ms, now)
  if redis.call('HGET', control, 'ledger_epoch') ~= epoch then return false end
  redis.call('HSET', control, 'ledger_until', digits(now + lease_ms))
  return true
end
