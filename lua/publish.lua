--[[
Publish intents: each identity becomes an order once, and its entry stands in `intents` once.

KEYS[1]   intents stream
KEYS[2]   events stream
KEYS[3]   control hash
KEYS[4]   live sorted set
KEYS[5+]  spent sets of the months in ARGV[4], then order hashes, one per place, in the order of the plan

ARGV[1]  plan, msgpack: list of maps {key, client_order_id, fingerprint, valid_until_ms, terms, state, digest, data};
         a cancel has key 0 and only its data
ARGV[2]  call id: a repeated call is answered as the first one was
ARGV[3]  first look in ms after now
ARGV[4]  months of spent identities, comma separated, as the control hash has them
ARGV[5]  name of the gate's opening that the caller has passed

Returns a list, one per intent
  {'created', entry id}              an order now
  {'duplicate', record …}            was one already; its record as it stands
  {'conflict', fingerprint}          was one already, with other content
  {'spent'}                          was one so long ago that its record is forgotten
  {'queued', entry id}               a cancel, for the gateways to decide
Errors  HISTORY_CHANGED, GATE_MOVED, SPENT_CHANGED
]]
--@include server
--@include journal
--@include record
--@include spent
local intents, events, control, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local plan, call, look_ms = cmsgpack.unpack(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local months = count_months(ARGV[4])

if history_changed(control) then return refuse_history() end
if gate_moved(control, ARGV[5]) then return refuse_gate(control) end
if spent_changed(control, ARGV[4]) then return refuse_spent() end

local now, changes, answers = nil, {}, {}

-- A cancel has no record that could remember the call. One that was just queued stands near the end of the stream,
-- and the same wish a second time would do nothing.
local function queue(data)
  for _, row in ipairs(redis.call('XREVRANGE', intents, '+', '-', 'COUNT', 64)) do
    if row[2][2] == data then return {'queued', row[1]} end
  end
  return {'queued', redis.call('XADD', intents, '*', 'data', data)}
end

local function publish(item)
  if item.key == 0 then return queue(item.data) end
  local key = KEYS[4 + months + item.key]
  local known = redis.call('HMGET', key, 'fingerprint', 'call', 'entry')
  if known[1] then
    if known[1] ~= item.fingerprint and known[1] ~= '' then return {'conflict', known[1]} end
    if known[2] == call then return {'created', known[3]} end
    local record = read_record(key)
    table.insert(record, 1, 'duplicate')
    return record
  end
  if is_spent(item.client_order_id, KEYS, 5, months) then return {'spent'} end
  now = now or now_ms() -- duplicates need no clock
  local entry = redis.call('XADD', intents, '*', 'data', item.data)
  changes[#changes + 1] = create_record(key, item, entry)
  redis.call('HSET', key, 'call', call)
  redis.call('ZADD', live, now + look_ms, item.client_order_id)
  return {'created', entry}
end

for index, item in ipairs(plan) do answers[index] = publish(item) end
journal(events, 'publish', now, changes)
return answers
