-- Ids of entries, and how far a consumer group has come in its stream.
local function parse(id)
  local time, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(sequence)
end

local function last_delivered(stream, group)
  if redis.call('EXISTS', stream) == 0 then return '0-0' end
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = {}
    for at = 1, #info, 2 do fields[info[at]] = info[at + 1] end
    if fields['name'] == group then return fields['last-delivered-id'] end
  end
  return '0-0'
end

local function reaches(last, id)
  local last_time, last_sequence = parse(last)
  local time, sequence = parse(id)
  return time < last_time or (time == last_time and sequence <= last_sequence)
end

local function newest_entry(stream)
  local rows = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  return rows[1] and rows[1][1] or '0-0'
end

-- Acknowledging proves that an entry was applied, parked or quarantined.
local function applied_until(stream, group, id)
  if id == '0-0' then return true end
  if not reaches(last_delivered(stream, group), id) then return false end
  return #redis.call('XPENDING', stream, group, '-', id, 1) == 0
end

local newest = {}
local function delivered(stream, group, entry)
  newest[stream] = newest[stream] or last_delivered(stream, group)
  return reaches(newest[stream], entry)
end

-- An entry has an owner while it waits to be delivered or is pending; one that is neither was lost or acknowledged.
local function has_owner(stream, group, entry)
  if not entry or entry == '' then return false end
  if #redis.call('XRANGE', stream, entry, entry) == 0 then return false end
  return not delivered(stream, group, entry) or #redis.call('XPENDING', stream, group, entry, entry, 1) > 0
end
