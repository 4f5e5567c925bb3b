--[[
Let executions lapse that waited too long for their order: they leave the parked set for quarantine, in sight.

KEYS[1]  quarantine stream
KEYS[2]  events stream
KEYS[3]  control hash
KEYS[4]  index of parked keys
KEYS[5]  hash of the executions parked for one order

ARGV[1]  venue symbol and venue order id, JSON string
ARGV[2]  age in ms that is too long
ARGV[3]  most executions of one call; the rest waits for the next

Returns how many still wait
Errors  HISTORY_CHANGED
]]
--@include server
--@include journal
--@include text
local quarantine, events, control, index, parked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local order, age_ms, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

if history_changed(control) then return refuse_history() end

local now = now_ms()
local since = redis.call('ZSCORE', index, parked)
if not since or now - tonumber(since) < age_ms then return redis.call('HLEN', parked) end

local changes = {}
local names = redis.call('HKEYS', parked)
table.sort(names)
for number = 1, math.min(#names, most) do
  local name = names[number]
  redis.call('XADD', quarantine, '*', 'data', '{"stream":"parked","entry":' .. quoted(name) ..
    ',"reason":"no order of ours became known for it"}', 'raw', redis.call('HGET', parked, name))
  redis.call('HDEL', parked, name)
  changes[number] = '{"kind":"lapsed","id":' .. quoted('lapsed:' .. name) .. ',"venue_order":' .. order ..
    ',"execution_id":' .. quoted(name) .. ',"since_ms":' .. digits(tonumber(since)) .. '}'
end
if #names <= most then redis.call('ZREM', index, parked) end
journal(events, 'lapse', now, changes)
return #names - #changes
