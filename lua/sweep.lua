--[[
Sweep orders whose next look is due, so that nothing waits without an owner.

KEYS[1]   intents stream
KEYS[2]   events stream
KEYS[3]   control hash
KEYS[4]   live sorted set
KEYS[5]   ended sorted set
KEYS[6+]  order hashes, one per client order id

ARGV[1]  client order ids, msgpack list, in the order of the keys
ARGV[2]  consumer group of intents
ARGV[3]  ms until an order in good standing is looked at again
ARGV[4]  shortest and
ARGV[5]  longest ms between two look-ups of an unknown order
ARGV[6]  account, for what is queued again
ARGV[7]  names of terms, comma separated, in the order in which the record of a claimed order has them, one to a line

Returns {now in ms, verdict …}, one verdict per order
  {'look', record …}  ask the venue about it; its next look is set
  {'kept'}            nothing to ask now
Errors  HISTORY_CHANGED
]]
--@include server
--@include journal
--@include record
--@include entries
local intents, events, control, live, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ids, group, account = cmsgpack.unpack(ARGV[1]), ARGV[2], ARGV[6]
local calm_ms, retry_min_ms, retry_max_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

if history_changed(control) then return refuse_history() end

local now, changes = now_ms(), {}

local function look(key, id, after_ms)
  redis.call('ZADD', live, now + after_ms, id)
  local record = read_record(key)
  record[1] = 'look'
  return record
end

local function keep(id, after_ms)
  redis.call('ZADD', live, now + after_ms, id)
  return {'kept'}
end

-- The terms of a record as an intent.
local function intent(terms)
  if string.sub(terms, 1, 1) == '{' then return terms end
  local parts, name = {'{"kind":"place","account":"' .. account .. '"'}, string.gmatch(ARGV[7], '[^,]+')
  for value in string.gmatch(terms, '[^\n]+') do parts[#parts + 1] = '"' .. name() .. '":' .. value end
  return table.concat(parts, ',') .. '}'
end

local function sweep_created(key, id, entry, valid_until, cancel)
  if cancel then
    end_record(key, id, 'cancelled', '"cancelled before it was sent"', live, ended, now, changes)
  elseif valid_until <= now then
    end_record(key, id, 'expired', '"valid_until passed before it was sent"', live, ended, now, changes)
  elseif has_owner(intents, group, entry) then
    return keep(id, math.min(calm_ms, valid_until - now + 1))
  else
    -- The new entry is the old one again, and the record says that it now speaks for it.
    local queued = redis.call('XADD', intents, '*', 'data', intent(redis.call('HGET', key, 'terms')))
    redis.call('HSET', key, 'entry', queued)
    changes[#changes + 1] = '{"kind":"queued","id":"queued:' .. queued .. '","client_order_id":"' .. id ..
      '","entry":"' .. queued .. '","lost":"' .. (entry or '') .. '"}'
    return keep(id, math.min(calm_ms, valid_until - now + 1))
  end
  return {'kept'}
end

-- The older the doubt, the longer between two questions; soon after the window, almost at once.
local function doubted(send_by)
  return math.max(retry_min_ms, math.min(retry_max_ms, (now - send_by) / 2))
end

local function sweep_open(key, id, cancel, cancel_by, amend, send_by)
  if cancel and (not cancel_by or tonumber(cancel_by) < now) then
    if not has_owner(intents, group, redis.call('HGET', key, 'cancel_entry')) then
      local queued = redis.call('XADD', intents, '*', 'data', '{"kind":"cancel","account":"' .. account ..
        '","client_order_id":"' .. id .. '","who":"sweep"}')
      redis.call('HSET', key, 'cancel_entry', queued)
    end
    return look(key, id, retry_max_ms)
  end
  -- A cancel that had no effect, or that the venue threw back, is due again when its window has closed.
  if cancel then return look(key, id, math.min(calm_ms, tonumber(cancel_by) - now + 1)) end
  return look(key, id, amend and doubted(send_by) or calm_ms)
end

local function sweep(key, id)
  if not redis.call('ZSCORE', live, id) then return {'kept'} end -- it ended after it was listed
  local known = redis.call('HMGET', key, 'status', 'entry', 'token', 'send_by', 'valid_until', 'cancel', 'cancel_by', 'amend')
  local status, send_by = known[1], tonumber(known[4] or '0')
  if not status then
    redis.call('ZREM', live, id)
    return {'kept'}
  end
  if status == 'created' then return sweep_created(key, id, known[2], tonumber(known[5]), known[6]) end
  if status == 'submitting' then
    if now <= send_by then return keep(id, send_by - now + 1) end
    redis.call('HSET', key, 'status', 'unknown')
    changes[#changes + 1] = '{"kind":"doubted","id":"doubt:' .. known[3] .. '","client_order_id":"' .. id ..
      '","token":"' .. known[3] .. '"}'
    return look(key, id, retry_min_ms)
  end
  if status == 'unknown' then
    return look(key, id, doubted(send_by))
  end
  if status == 'open' or status == 'partially_filled' then 
    return sweep_open(key, id, known[6], known[7], known[8], send_by)
  end
  return look(key, id, retry_max_ms) -- ended, and executions the venue counted are still to come
end

local answers = {digits(now)}
for number, id in ipairs(ids) do answers[number + 1] = sweep(KEYS[5 + number], id) end
journal(events, 'sweep', now, changes)
return answers
