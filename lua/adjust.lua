--[[
Adjust what an account holds beside its fills, or a position beside all orders, and acknowledge the entry that says so.

KEYS[1]  evidence stream
KEYS[2]  events stream
KEYS[3]  control hash
KEYS[4]  holdings hash
KEYS[5]  set of position keys
KEYS[6]  position hash; the set of position keys again where none moves
KEYS[7]  index of parked keys
KEYS[8]  parked hash of the order whose execution moves it; the index again where none moves

ARGV[1]  consumer group of evidence
ARGV[2]  entry id
ARGV[3]  id of the adjustment
ARGV[4]  amounts, msgpack: list of {asset, amount it was worked out from or '', new amount}
ARGV[5]  change as JSON
ARGV[6]  lease epoch
ARGV[7]  lease in ms
ARGV[8]  position, msgpack: {digest it was worked out from, new state, new digest}; an empty list where none moves
ARGV[9]  execution id that moves it; it waits for no order any more

Returns
  'adjusted'  counted, or counted before; acknowledged
  'stale'     an amount or the position is another one now: nothing written, work it out again
Errors  HISTORY_CHANGED, LEASE_LOST
]]
--@include server
--@include journal
--@include lease
local evidence, events, control, holdings, positions, place, index, parked = unpack(KEYS)
local amounts, mark, position = cmsgpack.unpack(ARGV[4]), ':' .. ARGV[3], cmsgpack.unpack(ARGV[8])

if history_changed(control) then return refuse_history() end
local now = now_ms()
if not renew_lease(control, ARGV[6], tonumber(ARGV[7]), now) then return refuse_lease() end

if redis.call('HEXISTS', holdings, mark) == 0 then
  for _, one in ipairs(amounts) do
    if (redis.call('HGET', holdings, one[1]) or '') ~= one[2] then return 'stale' end
  end
  if #position > 0 and (redis.call('HGET', place, 'digest') or '') ~= position[1] then return 'stale' end
  for _, one in ipairs(amounts) do redis.call('HSET', holdings, one[1], one[3]) end
  if #position > 0 then
    redis.call('HSET', place, 'state', position[2], 'digest', position[3])
    redis.call('SADD', positions, place)
    if redis.call('HDEL', parked, ARGV[9]) == 1 and redis.call('HLEN', parked) == 0 then
      redis.call('ZREM', index, parked)
    end
    -- What a limit was held against is another one now.
    redis.call('HSET', control, 'exposure', position[3])
  end
  redis.call('HSET', holdings, mark, '1')
  journal(events, 'adjust', now, {ARGV[5]})
end
redis.call('XACK', evidence, ARGV[1], ARGV[2])
return 'adjusted'
