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

ARGV[1]  plan, msgpack: {orders, positions, entry ids, entry orders, entry executions, lengths, asked}; lists are flat,
         because a table of its own for each order and entry costs more to unpack than all it holds
           order     {key, client order id, status, token and digest it was folded from, new status, new state,
                      new digest, next look in ms after now (-1: never, -2: as it is), {execution id …},
                      {{venue order key, parked key, digest of the parked set} …}, position number or 0,
                      whether a cancel was requested when it was read,
                      {execution id that was passed over as one that the record has …},
                      whether it is told now what became of an amend,
                      revision of the newest amend that took effect by this, or 0}: 16 places, one order after another
           position  {key, digest it was folded from, new state, new digest}
           entry     id; order number; execution id or '', or no list where none has one: acknowledged if that order's
                     verdict is good, or, with an execution id, if the record has it; order number 0 says nothing about
                     an order
           length    of each order's change, in bytes; 0 for none
           asked     {key, how many, execution id …}, one order after another, numbered behind those before: nothing of it
                     is written, its verdict is good if its record has all of these
ARGV[2]  changes that no order makes, comma separated JSON, may be empty
ARGV[3]  consumer group of evidence
ARGV[4]  lease epoch
ARGV[5]  lease in ms
ARGV[6]  changes of the orders, comma separated JSON

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
local orders, positions, ids, owners, proofs, lengths, asked = unpack(plan, 1, 7)
local WIDTH = 16 -- of an order: order `number` has the places from (number - 1) * WIDTH + 1 on
local count, acted = #orders / WIDTH, #ids

if history_changed(control) then return refuse_history() end
local now = now_ms()
if not renew_lease(control, ARGV[4], tonumber(ARGV[5]), now) then return refuse_lease() end

local ENDED = {['filled'] = true, ['cancelled'] = true, ['rejected'] = true, ['expired'] = true}

local function key(number) return KEYS[7 + number] end

local function judge_mappings(client_order_id, mappings)
  for _, mapping in ipairs(mappings) do
    local owner = redis.call('GET', key(mapping[1]))
    if owner and owner ~= client_order_id then return 3 end
    local marks = {}
    for at, parked in ipairs(redis.call('HKEYS', key(mapping[2]))) do marks[at] = redis.sha1hex(parked) end
    table.sort(marks) -- the names themselves sort by the server's locale
    if redis.sha1hex(table.concat(marks, ' ')) ~= mapping[3] then return 0 end
  end
  return 1
end

-- How many executions of a part of a list the record has.
local function had(hash, executions, from, to)
  local found = 0
  for first = from, to, 100 do
    local last = math.min(first + 99, to)
    local values = redis.call('HMGET', hash, unpack(executions, first, last))
    for at = 1, last - first + 1 do
      if values[at] then found = found + 1 end
    end
  end
  return found
end

-- What an order was folded from, and how many of its executions the record has: one look at it, where they are few.
local function look(hash, executions)
  local many = #executions
  if many == 0 or many > 100 then
    return redis.call('HMGET', hash, 'status', 'token', 'digest', 'cancel'), had(hash, executions, 1, many)
  end
  local known, found = redis.call('HMGET', hash, 'status', 'token', 'digest', 'cancel', unpack(executions)), 0
  for at = 5, 4 + many do
    if known[at] then found = found + 1 end
  end
  return known, found
end

local function judge(at)
  local hash, digest, executions, relied = key(orders[at + 1]), orders[at + 5], orders[at + 10], orders[at + 14]
  local known, found = look(hash, executions)
  -- Two executions of equal size and price fold to one digest, so the record must also have these very ones.
  if orders[at + 8] ~= digest and known[3] == orders[at + 8] and found == #executions then return 2 end
  if known[3] ~= digest or known[1] ~= orders[at + 3] or (known[2] or '') ~= orders[at + 4] then return 0 end
  if (known[4] and true or false) ~= orders[at + 13] then return 0 end
  -- What the plan was folded from may be memory: the record alone says which executions are new.
  if found > 0 or (#relied > 0 and had(hash, relied, 1, #relied) < #relied) then return 0 end
  if #orders[at + 11] == 0 then return 1 end
  return judge_mappings(orders[at + 2], orders[at + 11])
end

local verdicts = {}
for number = 1, count do verdicts[number] = judge((number - 1) * WIDTH) end

local good = true -- whether nothing of the batch has to come again

local function ask()
  local at = 1
  while at <= #asked do
    local hash, many = key(asked[at]), asked[at + 1]
    local has_all = had(hash, asked, at + 2, at + 1 + many) == many
    if not has_all then good = false end
    verdicts[#verdicts + 1] = has_all and 2 or 0
    at = at + 2 + many
  end
end
ask()

-- A position was folded over all its orders of this batch: with one of them stale, none of them can be written.
local spoiled = {}
for number, position in ipairs(positions) do
  if (redis.call('HGET', key(position[1]), 'digest') or '') ~= position[2] then spoiled[number] = true end
end
for number = 1, count do
  local place = orders[(number - 1) * WIDTH + 12]
  if place > 0 and (verdicts[number] == 0 or verdicts[number] == 3) then spoiled[place] = true end
end
for number = 1, count do
  local place = orders[(number - 1) * WIDTH + 12]
  if place > 0 and verdicts[number] == 1 and spoiled[place] then verdicts[number] = 0 end
end

-- A repeated call finds its entries without an order acknowledged, and does not tell of them again.
local changes, passed = {}, {}
for number = 1, acted do
  if owners[number] == 0 then passed[#passed + 1] = ids[number] end
end
if #passed > 0 and redis.call('XACK', evidence, group, unpack(passed)) > 0 and ARGV[2] ~= '' then
  changes[1] = ARGV[2]
end

-- Next looks and ends of the whole batch, written in one call each.
local looks, ends, looks_no_more, revived, at_ms = {}, {}, {}, {}, digits(now)

local function schedule(at)
  local client_order_id, after_ms, status = orders[at + 2], orders[at + 9], orders[at + 6]
  if after_ms == -2 then return end
  if after_ms == -1 then
    local many = #looks_no_more
    ends[2 * many + 1] = at_ms
    ends[2 * many + 2] = client_order_id
    looks_no_more[many + 1] = client_order_id
    return
  end
  if orders[at + 13] and (status == 'open' or status == 'partially_filled') then
    -- A cancel that waited for the outcome acts now, unless one is on its way.
    local cancel = redis.call('HMGET', key(orders[at + 1]), 'cancel_by')
    if tonumber(cancel[1] or '0') < now then after_ms = 0 end
  end
  looks[#looks + 1] = digits(now + after_ms)
  looks[#looks + 1] = client_order_id
  if ENDED[orders[at + 3]] then revived[#revived + 1] = client_order_id end -- the venue showed that it lives
end

local function write(at)
  local hash, fields = key(orders[at + 1]), {'state', orders[at + 7], 'digest', orders[at + 8]}
  local many = 4
  if orders[at + 6] ~= orders[at + 3] then
    fields[5], fields[6], many = 'status', orders[at + 6], 6
  end
  for _, execution in ipairs(orders[at + 10]) do
    fields[many + 1], fields[many + 2], many = execution, '1', many + 2
    if many >= 200 then
      redis.call('HSET', hash, unpack(fields))
      fields, many = {}, 0
    end
  end
  if many > 0 then redis.call('HSET', hash, unpack(fields)) end
  if orders[at + 15] then redis.call('HDEL', hash, 'amend') end
  -- Its claim may be lost with an older history: it is not claimed once more.
  if orders[at + 16] > 0 and tonumber(redis.call('HGET', hash, 'revision') or '0') < orders[at + 16] then
    redis.call('HSET', hash, 'revision', digits(orders[at + 16]))
  end
  for _, mapping in ipairs(orders[at + 11]) do
    redis.call('SET', key(mapping[1]), orders[at + 2])
    if redis.call('DEL', key(mapping[2])) == 1 then redis.call('ZREM', parked_index, key(mapping[2])) end
  end
end

local moved, wrote, exposure, whole, told = {}, {}, nil, true, 0
for number = 1, count do
  local at, verdict, length = (number - 1) * WIDTH, verdicts[number], lengths[number]
  local written = verdict == 1 and orders[at + 8] ~= orders[at + 5]
  if verdict == 1 then
    if written then
      write(at)
      exposure = orders[at + 8]
    end
    schedule(at)
    local place = orders[at + 12]
    if place > 0 then moved[place] = true end
  elseif verdict ~= 2 then
    good = false
  end
  if length > 0 then
    if written then wrote[number] = true else whole = false end
    told = told + 1
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

-- The changes of the orders that were written; nearly always those are all, and told as they came.
local function tell(all)
  if whole then
    if told > 0 then changes[#changes + 1] = all end
    return
  end
  local first = 1
  for number = 1, count do
    local length = lengths[number]
    if wrote[number] then changes[#changes + 1] = string.sub(all, first, first + length - 1) end
    if length > 0 then first = first + length + 1 end
  end
end
tell(ARGV[6])

local function proven()
  local found = {}
  for number = 1, acted do
    local owner, execution = owners[number], proofs[number] or ''
    local proof = owner == 0 or verdicts[owner] == 1 or verdicts[owner] == 2
    if not proof and execution ~= '' then
      proof = redis.call('HEXISTS', key(orders[(owner - 1) * WIDTH + 1]), execution) == 1
    end
    if proof then found[#found + 1] = ids[number] end
  end
  return found
end
if not good then ids = proven() end

journal(events, 'commit', now, changes)
if #ids > 0 then redis.call('XACK', evidence, group, unpack(ids)) end
return {verdicts, #ids}
