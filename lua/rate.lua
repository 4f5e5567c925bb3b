--[[
Spend of what a venue counts in fixed windows of its clock, if enough is left for a request of this urgency.

KEYS[1]  rate hash

ARGV[1]  plan, msgpack: map {need, share, queues, ahead_ms, blocked, block_ms, counters}; share is how much of a limit,
         in percent, a request of this urgency may use; queues says that it comes behind those that were turned away
         before; ahead_ms is what the venue's clock shows more than the server's; blocked names the field of who is
         kept away, block_ms above 0 keeps it away from now on; counters is a list of maps {name, limit, interval_ms,
         guard_ms, count, window, told}; limit is what the venue declares, told what it said since or 0; count is what
         it said was used in the window of that number, or -1

Returns {ms to wait, granted, ms until what is kept is worth nothing}
  {0, granted, ms}  spent of every counter: what was needed, or more to keep while far from the limit
  {ms, 0, more}     nothing was spent; asking sooner is of no use; after `more` ms, which may be less, there is more
A call that is repeated spends once more, which errs to the safe side.
]]
--@include server
local rate = KEYS[1]
local plan = cmsgpack.unpack(ARGV[1])

-- Old counters say nothing; the longest window is a day.
local KEPT_S = 172800
local now = now_ms()
local at = now + plan.ahead_ms

-- A counter as it stands in the window of now. What is spent within guard_ms of an edge may be counted by the venue on
-- either side of it, so it counts in both windows here: `tail` goes over into the next, `before` is the one that ended.
local function read(counter)
  local stored = redis.call('HGET', rate, counter.name)
  local known = stored and cmsgpack.unpack(stored) or {-1, 0, 0, 0, 0, 0, 0}
  local one = {window = known[1], used = known[2], tail = known[3], before = known[4], promised = known[5],
    limit = known[7] == 1 and known[6] or counter.limit, learned = known[7]}
  if counter.told > 0 then
    one.limit, one.learned = counter.told, 1
  end
  one.room = math.max(1, math.floor(one.limit * plan.share / 100))
  local window = math.floor(at / counter.interval_ms)
  if window > one.window then
    local follows = window == one.window + 1
    one.promised = math.max(0, one.promised - (window - one.window) * 2 * one.room)
    one.before = follows and one.used or 0
    one.used, one.tail, one.window = follows and one.tail or 0, 0, window
  elseif window < one.window - 1 then
    -- A clock that was set back begins anew with all that was used; the other one's windows are hours away.
    one.promised, one.before, one.tail, one.window = 0, one.used, 0, window
  end
  if counter.window == one.window then one.used = math.max(one.used, counter.count) end
  -- Two that measured the venue's clock apart stay in the window that one of them has reached.
  one.past = math.max(0, at - one.window * counter.interval_ms)
  one.left = counter.interval_ms - one.past
  one.early, one.late = one.past < counter.guard_ms, one.left <= counter.guard_ms
  return one
end

local function write(counter, one)
  redis.call('HSET', rate, counter.name, cmsgpack.pack({one.window, one.used, one.tail, one.before, one.promised,
    one.limit, one.learned, counter.interval_ms}))
end

-- How long until a counter has room. Those that queue come back in the window in which it is their turn, twice as many
-- to each as it has room for: some are cancelled or expire meanwhile, and a window should not be left unused.
local function wait_for(counter, one)
  if one.used + plan.need <= one.room then
    local edge = one.early and one.before + plan.need > one.room and counter.guard_ms - one.past or 0
    return edge, edge
  end
  local more, turn = one.left + counter.guard_ms, 0
  if plan.queues then
    turn = math.floor(one.promised / (2 * one.room)) * counter.interval_ms
    one.promised = one.promised + plan.need
  end
  return more + turn, more
end

local until_ms = 0
local stored = redis.call('HGET', rate, plan.blocked)
if stored then until_ms = cmsgpack.unpack(stored) end
if plan.block_ms > 0 then
  until_ms = math.max(until_ms, now + plan.block_ms)
  redis.call('HSET', rate, plan.blocked, cmsgpack.pack(until_ms))
end

local blocked_ms = math.max(0, until_ms - now)
local found, wait, soonest, more, good = {}, blocked_ms, blocked_ms, nil, nil
for number, counter in ipairs(plan.counters) do
  local one = read(counter)
  if plan.need > 0 and blocked_ms == 0 then
    local turn, first = wait_for(counter, one)
    wait, soonest = math.max(wait, turn), math.max(soonest, first)
  end
  -- A hundredth of the limit is kept at most, or a few, and nothing when half of the room is gone.
  local extra = math.max(4, math.floor(one.limit / 100))
  if (math.max(one.used, one.early and one.before or 0) + plan.need + extra) * 2 > one.room then extra = 0 end
  more = math.min(more or extra, extra)
  -- What is spent late counts in the next window as well, so it may be used there.
  local worth = one.left - counter.guard_ms + (one.late and counter.interval_ms or 0)
  good = math.min(good or worth, worth)
  found[number] = one
end

local granted = 0
if wait == 0 and plan.need > 0 then granted = plan.need + more end
for number, counter in ipairs(plan.counters) do
  local one = found[number]
  one.used = one.used + granted
  if one.late then one.tail = one.tail + granted end
  if one.early then one.before = one.before + granted end
  write(counter, one)
end
redis.call('EXPIRE', rate, KEPT_S)
if granted == 0 then return {wait, 0, soonest} end
return {0, granted, good}
