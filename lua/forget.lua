--[[
Forget an order that ended long ago: its record and the keys that point at it go, its spent identity stays.

KEYS[1]   events stream
KEYS[2]   control hash
KEYS[3]   ended sorted set
KEYS[4]   spent set of a month
KEYS[5]   order hash
KEYS[6+]  venue order keys of the order

ARGV[1]  client order id
ARGV[2]  digest of the record, as it was read when it was found complete
ARGV[3]  retention in ms since the last commit
ARGV[4]  the month, for example 2026-11

Returns
  'forgotten'  removed, or removed before
  'kept'       it is too young, or it changed meanwhile
Errors  HISTORY_CHANGED
]]
--@include server
--@include journal
--@include spent
local events, control, ended, spent, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, digest, retention_ms, month = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

if history_changed(control) then return refuse_history() end

local now = now_ms()
local known = redis.call('HMGET', order, 'digest', 'status')
if not known[1] then
  redis.call('ZREM', ended, id)
  return 'forgotten'
end
local since = tonumber(redis.call('ZSCORE', ended, id) or '0')
if since == 0 or now - since < retention_ms or known[1] ~= digest then return 'kept' end

local months = redis.call('HGET', control, 'spent') or ''
if not string.find(',' .. months .. ',', ',' .. month .. ',', 1, true) then
  redis.call('HSET', control, 'spent', months == '' and month or months .. ',' .. month)
end
redis.call('SADD', spent, spent_mark(id))
redis.call('DEL', order)
for number = 6, #KEYS do redis.call('DEL', KEYS[number]) end
redis.call('ZREM', ended, id)
journal(events, 'forget', now, {'{"kind":"forgotten","id":"forgotten:' .. id .. '","client_order_id":"' .. id ..
  '","month":"' .. month .. '","ended_ms":' .. digits(since) .. '}'})
return 'forgotten'
