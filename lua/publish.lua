--[[
Publish intents: each identity becomes an order once, and its entry stands in `intents` once.

KEYS[1]   intents stream
KEYS[2]   events stream
KEYS[3]   control hash
KEYS[4]   live sorted set
KEYS[5+]  spent sets of the months in ARGV[4], then order hashes, one per place, in the order of the plan

ARGV[1]  plan, msgpack: one flat list, because a table of its own for each intent costs more to unpack; of each intent
         data, client order id, fingerprint, digest of the new record, valid_until in ms as text: 5 places, one intent
         after another; data is the terms of a place; a cancel has no fingerprint and no key
ARGV[2]  call id: a repeated call is answered as the first one was
ARGV[3]  first look in ms after now; an order that expires before is looked at then
ARGV[4]  months of spent identities, comma separated, as the control hash has them
ARGV[5]  name of the gate's opening that the caller has passed
ARGV[6]  state of a new order
ARGV[7]  consumer group of intents

Returns a list, one per intent
  entry id                           an order now
  {'duplicate', record …}            was one already; its record as it stands, with empty terms where they are `data`
  {'conflict', fingerprint}          was one already, with other content
  {'spent'}                          was one so long ago that its record is forgotten
  {'queued', entry id}               a cancel, for the gateways to decide
Errors  GATE_MOVED, SPENT_CHANGED
]]
--@include record
local intents, events, control, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local plan, call, new_state = cmsgpack.unpack(ARGV[1]), ARGV[2], ARGV[6]
local months = ARGV[4] == '' and 0 or select(2, string.gsub(ARGV[4], ',', '')) + 1
local WIDTH = 5 -- of an intent: intent `number` has the places from (number - 1) * WIDTH + 1 on
local answers, places, count, known = {}, 0, #plan / WIDTH, true

-- What to answer for an identity that has a record; nil when it has none. Whether it has one is asked first where the
-- one before had none, because that costs half of reading what is not there.
local function stands(key, data, fingerprint)
  if not known and redis.call('EXISTS', key) == 0 then return nil end
  local record = read_record(key)
  local made_by, terms, status, stored, entry = record[1], record[2], record[3], record[6], record[7]
  known = status
  if not status then return nil end
  if stored ~= fingerprint and stored ~= '' then return {'conflict', stored} end
  if made_by == call then return entry end
  record[1] = 'duplicate'
  if terms == data then record[2] = '' end
  return record
end

-- A call that only repeats ends here, before anything it does not need is asked or defined: a record is told as it
-- stands whatever history the server has, and needs no month of spent identities. It is told under the gate's opening
-- that the caller has passed, as everything is: a server that was left for another one answers nobody.
if (redis.call('HGET', control, 'gate') or '') == ARGV[5] then
  for index = 1, count do
    local at = (index - 1) * WIDTH
    answers[index] = plan[at + 3] ~= '' and stands(KEYS[4 + months + index], plan[at + 1], plan[at + 3]) or nil
    if not answers[index] then break end
    places = places + 1
  end
  if places == count then return answers end
end

--@include server
-- Before a history is reconciled an intent is taken all the same, and waits: no claim is granted. Its record may be of
-- an order whose own was lost, so it says so; `import` puts the venue's order in its place before the gate opens.
local refused, early = refusal(control, ARGV[5], ARGV[4])
if refused and not early then return refused end

--@include journal
--@include spent
--@include entries
local now, look_ms, changes, looks = now_ms(), tonumber(ARGV[3]), {}, {}

-- A cancel has no record that could remember the call. One that was just queued stands near the end of the stream,
-- and while somebody has yet to decide it, the same wish a second time would do nothing. One that was decided may have
-- had no effect on the order as it was then.
local function queue(data)
  for _, row in ipairs(redis.call('XREVRANGE', intents, '+', '-', 'COUNT', 64)) do
    if row[2][2] == data and has_owner(intents, ARGV[7], row[1]) then return {'queued', row[1]} end
  end
  return {'queued', redis.call('XADD', intents, '*', 'data', data)}
end

local function create(key, data, id, fingerprint, digest, valid_until)
  local entry, made = redis.call('XADD', intents, '*', 'data', data), #changes + 1
  changes[made] = create_record(key, id, data, new_state, digest, fingerprint, valid_until, entry, 'call', call)
  if early then redis.call('HSET', key, 'early', ARGV[5]) end
  looks[2 * made - 1], looks[2 * made] = math.min(now + look_ms, tonumber(valid_until) + 1), id
  return entry
end

for index = #answers + 1, count do
  local at = (index - 1) * WIDTH
  local data, id, fingerprint = plan[at + 1], plan[at + 2], plan[at + 3]
  if fingerprint == '' then
    answers[index] = queue(data)
  else
    places = places + 1
    local key = KEYS[4 + months + places]
    answers[index] = stands(key, data, fingerprint) or (is_spent(id, KEYS, 5, months) and {'spent'}) or
      create(key, data, id, fingerprint, plan[at + 4], plan[at + 5])
  end
end
if #looks > 0 then redis.call('ZADD', live, unpack(looks)) end
journal(events, 'publish', now, changes)
return answers
