--[[
Park executions whose order is not known here, and acknowledge the entry they came by.

KEYS[1]  evidence stream
KEYS[2]  events stream
KEYS[3]  control hash
KEYS[4]  index of parked keys
KEYS[5]  parked hash
KEYS[6]  venue order key
KEYS[7]  order hash of the client order id that the venue order key holds or else the execution names; the venue order key
         again where there is none

ARGV[1]  consumer group of evidence
ARGV[2]  entry id
ARGV[3]  executions of one order, msgpack: list of {execution id, execution as JSON, change as JSON}
ARGV[4]  lease epoch
ARGV[5]  lease in ms
ARGV[6]  most executions one order may park

Returns
  'parked'  stored, or stored before; acknowledged
  'known'   the order became known meanwhile: nothing written, fold it
  'full'    too many wait for this order: nothing written, the caller quarantines the entry
Errors  HISTORY_CHANGED, LEASE_LOST
]]
--@include server
--@include journal
--@include lease
local evidence, events, control, index, parked, venue_order, order = unpack(KEYS)

if history_changed(control) then return refuse_history() end
local now = now_ms()
if not renew_lease(control, ARGV[4], tonumber(ARGV[5]), now) then return refuse_lease() end
local whose = redis.call('GET', venue_order)
if whose then
  local suffix = ':order:' .. whose
  local read = string.sub(order, -#suffix) == suffix
  -- A mapping whose order is forgotten leads nowhere: taken for known, the entry would stay pending for ever.
  if not read or redis.call('EXISTS', order) == 1 then return 'known' end
end
if order ~= venue_order and redis.call('HEXISTS', order, 'terms') == 1 then return 'known' end

local fresh, changes = {}, {}
for _, execution in ipairs(cmsgpack.unpack(ARGV[3])) do
  if redis.call('HEXISTS', parked, execution[1]) == 0 then fresh[#fresh + 1] = execution end
end
if #fresh > 0 then
  if redis.call('HLEN', parked) + #fresh > tonumber(ARGV[6]) then return 'full' end
  for number, execution in ipairs(fresh) do
    redis.call('HSET', parked, execution[1], execution[2])
    changes[number] = execution[3]
  end
  redis.call('ZADD', index, 'NX', now, parked)
  journal(events, 'park', now, changes)
end
redis.call('XACK', evidence, ARGV[1], ARGV[2])
return 'parked'
