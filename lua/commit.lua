--[[
Commit a batch of folded evidence: per order all or nothing, then one journal entry and one acknowledgement.

KEYS[1]   evidence stream
KEYS[2]   events stream
KEYS[3]   control hash
KEYS[4]   live sorted set
KEYS[5]   index of parked keys
KEYS[6]   set of position keys
KEYS[7]   ended sorted set
KEYS[8+]  order hashes, position hashes, venue order keys and parked hashes that the plan names by number (from 1)

ARGV[1]  plan, msgpack: {orders, positions, entries}
           order     {key, client order id, status, token and digest it was folded from, new status, new state,
                      new digest, next look in ms after now (-1: never, -2: as it is), {execution id …}, change or '',
                      {{venue order key, parked key, digest of the parked set} …}, position number or 0,
                      whether a cancel was requested when it was read,
                      {execution id that was passed over as one that the record has …},
                      whether it is told now what became of an amend,
                      revision of the newest amend that took effect by this, or 0}
                      An order whose digest is `-` is only asked whether its record has those executions.
           position  {key, digest it was folded from, new state, new digest}
           entry     {entry id, order number, execution id or ''}: acknowledged if that order's verdict is good, or,
                     with an execution id, if the record has it; order number 0 says nothing about an order
ARGV[2]  changes that no order makes, comma separated JSON, may be empty
ARGV[3]  consumer group of evidence
ARGV[4]  lease epoch
ARGV[5]  lease in ms

Returns {verdict per order, number of acknowledged entries}
  1  written    2  was written by this very commit before    0  stale: read again, fold again
  3  contradiction: a venue order id belongs to another of our orders; nothing written
Errors  HISTORY_CHANGED, LEASE_LOST
]]
--@include server
--@include journal
--@include lease
local evidence, events, control, live, parked_index, position_index, ended = unpack(KEYS, 1, 7)
local plan, group = cmsgpack.unpack(ARGV[1]), ARGV[3]
local orders, positions, entries = plan[1], plan[2], plan[3]

if history_changed(control) then return refuse_history() end
local now = now_ms()
if not renew_lease(control, ARGV[4], tonumber(ARGV[5]), now) then return refuse_lease() end

local ENDED = {['filled'] = true, ['cancelled'] = true, ['rejected'] = true, ['expired'] = true}

local function key(number) return KEYS[7 + number] end

local function judge_mappings(client_order_id, mappings)
  for _, mapping in ipairs(mappings) do
    local owner = redis.call('GET', key(mapping[1]))
    if owner and owner ~= client_order_id then return 3 end
    local parked = redis.call('HKEYS', key(mapping[2]))
    table.sort(parked)
    if redis.sha1hex(table.concat(parked, ' ')) ~= mapping[3] then return 0 end
  end
  return 1
end

-- How many of these executions the record has.
local function count(hash, executions)
  local found = 0
  for first = 1, #executions, 100 do
    local last = math.min(first + 99, #executions)
    local values = redis.call('HMGET', hash, unpack(executions, first, last))
    for at = 1, last - first + 1 do
      if values[at] then found = found + 1 end
    end
  end
  return found
end

-- What an order was folded from, and how many of its executions the record has: one look at it, where they are few.
local function look(hash, executions)
  if #executions == 0 or #executions > 100 then
    return redis.call('HMGET', hash, 'status', 'token', 'digest', 'cancel'), count(hash, executions)
  end
  local known, found = redis.call('HMGET', hash, 'status', 'token', 'digest', 'cancel', unpack(executions)), 0
  for at = 5, 4 + #executions do
    if known[at] then found = found + 1 end
  end
  return known, found
end

local function judge(order)
  local hash, executions = key(order[1]), order[10]
  if order[5] == '-' then return count(hash, order[15]) == #order[15] and 2 or 0 end
  local known, found = look(hash, executions)
  -- Two executions of equal size and price fold to one digest, so the record must also have these very ones.
  if order[8] ~= order[5] and known[3] == order[8] and found == #executions then return 2 end
  if known[3] ~= order[5] or known[1] ~= order[3] or (known[2] or '') ~= order[4] then return 0 end
  if (known[4] and true or false) ~= order[14] then return 0 end
  -- What the plan was folded from may be memory: the record alone says which executions are new.
  if found > 0 or (#order[15] > 0 and count(hash, order[15]) < #order[15]) then return 0 end
  if #order[12] == 0 then return 1 end
  return judge_mappings(order[2], order[12])
end

local verdicts = {}
for number, order in ipairs(orders) do verdicts[number] = judge(order) end

-- A position was folded over all its orders of this batch: with one of them stale, none of them can be written.
local spoiled = {}
for number, position in ipairs(positions) do
  if (redis.call('HGET', key(position[1]), 'digest') or '') ~= position[2] then spoiled[number] = true end
end
for number, order in ipairs(orders) do
  if order[13] > 0 and (verdicts[number] == 0 or verdicts[number] == 3) then spoiled[order[13]] = true end
end
for number, order in ipairs(orders) do
  if order[13] > 0 and verdicts[number] == 1 and spoiled[order[13]] then verdicts[number] = 0 end
end

-- A repeated call finds its entries without an order acknowledged, and does not tell of them again.
local changes, passed = {}, {}
for _, entry in ipairs(entries) do
  if entry[2] == 0 then passed[#passed + 1] = entry[1] end
end
if #passed > 0 and redis.call('XACK', evidence, group, unpack(passed)) > 0 and ARGV[2] ~= '' then
  changes[1] = ARGV[2]
end

-- Next looks and ends of the whole batch, written in one call each.
local looks, ends, looks_no_more, revived = {}, {}, {}, {}

local function schedule(order)
  local client_order_id, after_ms, status = order[2], order[9], order[6]
  if after_ms == -2 then return end
  if after_ms == -1 then
    ends[#ends + 1] = digits(now)
    ends[#ends + 1] = client_order_id
    looks_no_more[#looks_no_more + 1] = client_order_id
    return
  end
  if order[14] and (status == 'open' or status == 'partially_filled') then
    -- A cancel that waited for the outcome acts now, unless one is on its way.
    local cancel = redis.call('HMGET', key(order[1]), 'cancel_by')
    if tonumber(cancel[1] or '0') < now then after_ms = 0 end
  end
  looks[#looks + 1] = digits(now + after_ms)
  looks[#looks + 1] = client_order_id
  if ENDED[order[3]] then revived[#revived + 1] = client_order_id end -- the venue showed that it lives
end

local function write(order)
  local hash, fields = key(order[1]), {'state', order[7], 'digest', order[8]}
  if order[6] ~= order[3] then
    fields[5], fields[6] = 'status', order[6]
  end
  for _, execution in ipairs(order[10]) do
    fields[#fields + 1] = execution
    fields[#fields + 1] = '1'
    if #fields >= 200 then
      redis.call('HSET', hash, unpack(fields))
      fields = {}
    end
  end
  if #fields > 0 then redis.call('HSET', hash, unpack(fields)) end
  if order[16] then redis.call('HDEL', hash, 'amend') end
  -- Its claim may be lost with an older history: it is not claimed once more.
  if order[17] > 0 and tonumber(redis.call('HGET', hash, 'revision') or '0') < order[17] then
    redis.call('HSET', hash, 'revision', digits(order[17]))
  end
  for _, mapping in ipairs(order[12]) do
    redis.call('SET', key(mapping[1]), order[2])
    if redis.call('DEL', key(mapping[2])) == 1 then redis.call('ZREM', parked_index, key(mapping[2])) end
  end
  if order[11] ~= '' then changes[#changes + 1] = order[11] end
end

local moved, exposure = {}, nil
for number, order in ipairs(orders) do
  if verdicts[number] == 1 then
    if order[8] ~= order[5] then
      write(order)
      exposure = order[8]
    end
    schedule(order)
    if order[13] > 0 then moved[order[13]] = true end
  end
end
-- What a limit was held against is another one now; the digest is as new as the state (R9).
if exposure then redis.call('HSET', control, 'exposure', exposure) end
if #looks > 0 then redis.call('ZADD', live, unpack(looks)) end
if #ends > 0 then
  redis.call('ZADD', ended, unpack(ends))
  redis.call('ZREM', live, unpack(looks_no_more))
end
if #revived > 0 then redis.call('ZREM', ended, unpack(revived)) end
for number, position in ipairs(positions) do
  if moved[number] then
    redis.call('HSET', key(position[1]), 'state', position[3], 'digest', position[4])
    if position[2] == '' then redis.call('SADD', position_index, key(position[1])) end
  end
end

local proven = {}
for _, entry in ipairs(entries) do
  local number, execution = entry[2], entry[3]
  local proof = number == 0 or verdicts[number] == 1 or verdicts[number] == 2
  if not proof and execution ~= '' then proof = redis.call('HEXISTS', key(orders[number][1]), execution) == 1 end
  if proof then proven[#proven + 1] = entry[1] end
end

journal(events, 'commit', now, changes)
if #proven > 0 then redis.call('XACK', evidence, group, unpack(proven)) end
return {verdicts, #proven}
