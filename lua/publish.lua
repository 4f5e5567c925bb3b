--[[
Publish intents: each identity becomes an order once, and its entry stands in `intents` once.

KEYS[1]   intents stream
KEYS[2]   events stream
KEYS[3]   control hash
KEYS[4]   live sorted set
KEYS[5+]  spent sets of the months in ARGV[4], then order hashes, one per place, in the order of the plan

ARGV[1]  plan, msgpack: list of lists {data, client order id, fingerprint, valid_until in ms}, data is the terms of a
         place; a cancel has no fingerprint and no key
ARGV[2]  call id: a repeated call is answered as the first one was
ARGV[3]  first look in ms after now; an order that expires before is looked at then
ARGV[4]  months of spent identities, comma separated, as the control hash has them
ARGV[5]  name of the gate's opening that the caller has passed
ARGV[6]  state of a new order
ARGV[7]  consumer group of intents

Returns a list, one per intent
  {'created', entry id, digest}      an order now
  {'duplicate', record …}            was one already; its record as it stands, with empty terms where they are `data`
  {'conflict', fingerprint}          was one already, with other content
  {'spent'}                          was one so long ago that its record is forgotten
  {'queued', entry id}               a cancel, for the gateways to decide
Errors  HISTORY_CHANGED, GATE_MOVED, SPENT_CHANGED
]]
--@include server
--@include record
local intents, events, control, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local plan, call, look_ms, new_state = cmsgpack.unpack(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[6]

local refused = refusal(control, ARGV[5], ARGV[4])
if refused then return refused end

local _, commas = string.gsub(ARGV[4], ',', '')
local months = ARGV[4] == '' and 0 or commas + 1
local answers, places = {}, 0

local function birth_digest(id, fingerprint)
  return string.sub(redis.sha1hex(id .. ' ' .. fingerprint .. ' created ' .. new_state), 1, 32)
end

-- What to answer for an identity that has a record; nil when it has none.
local function stands(key, data, id, fingerprint)
  local record = read_record(key)
  local made_by, terms, status, stored, entry = record[1], record[2], record[3], record[6], record[7]
  if not status then return nil end
  if stored ~= fingerprint and stored ~= '' then return {'conflict', stored} end
  if made_by == call then return {'created', entry, birth_digest(id, fingerprint)} end
  record[1] = 'duplicate'
  if terms == data then record[2] = '' end
  return record
end

-- A call that only repeats ends here, before anything it does not need is defined.
for index, item in ipairs(plan) do
  answers[index] = item[3] ~= '' and stands(KEYS[4 + months + index], item[1], item[2], item[3]) or nil
  if not answers[index] then break end
  places = places + 1
end
if places == #plan then return answers end

--@include journal
--@include spent
--@include entries
local now, changes = now_ms(), {}

-- A cancel has no record that could remember the call. One that was just queued stands near the end of the stream,
-- and while somebody has yet to decide it, the same wish a second time would do nothing. One that was decided may have
-- had no effect on the order as it was then.
local function queue(data)
  for _, row in ipairs(redis.call('XREVRANGE', intents, '+', '-', 'COUNT', 64)) do
    if row[2][2] == data and has_owner(intents, ARGV[7], row[1]) then return {'queued', row[1]} end
  end
  return {'queued', redis.call('XADD', intents, '*', 'data', data)}
end

local function create(key, data, id, fingerprint, valid_until_ms)
  local entry = redis.call('XADD', intents, '*', 'data', data)
  local digest = birth_digest(id, fingerprint)
  local item = {client_order_id = id, terms = data, state = new_state, digest = digest, fingerprint = fingerprint,
    valid_until_ms = valid_until_ms}
  changes[#changes + 1] = create_record(key, item, entry, 'call', call)
  redis.call('ZADD', live, math.min(now + look_ms, valid_until_ms + 1), id)
  return {'created', entry, digest}
end

local function publish(data, id, fingerprint, valid_until_ms)
  if fingerprint == '' then return queue(data) end
  places = places + 1
  local key = KEYS[4 + months + places]
  local answer = stands(key, data, id, fingerprint)
  if answer then return answer end
  if is_spent(id, KEYS, 5, months) then return {'spent'} end
  return create(key, data, id, fingerprint, valid_until_ms)
end

for index = #answers + 1, #plan do
  local item = plan[index]
  answers[index] = publish(item[1], item[2], item[3], item[4])
end
journal(events, 'publish', now, changes)
return answers
