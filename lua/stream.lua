--[[
Say how the private stream stands: lost, whole again, or still whole. While nobody vouches for it, claims let only
those orders go out that make a position smaller.

KEYS[1]  control hash
KEYS[2]  events stream
KEYS[3]  evidence stream

ARGV[1]  lost | whole | keep
ARGV[2]  listener
ARGV[3]  connection it speaks of; lost: empty when it was none
ARGV[4]  lost: reason, JSON string; else empty
ARGV[5]  for how many ms the stream is vouched for; lost: 0
ARGV[6]  consumer group of evidence
ARGV[7]  whole: entry of evidence that must be applied before, empty for the newest one; keep: stored when everything
         that was heard is stored, so that the watermark moves; else empty

Returns {'whole' | 'lost' | 'behind', the entry that must be applied before, or ''}
]]
--@include server
--@include journal
--@include entries
local control, events, evidence = KEYS[1], KEYS[2], KEYS[3]
local action, listener, connection, group = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local now, lease_ms = now_ms(), tonumber(ARGV[5])
local known = redis.call('HMGET', control, 'stream_until', 'stream_by', 'stream_connection', 'stream_lost')
local untold, vouched, lost = not known[1], tonumber(known[1] or '0') > now, known[4]

local function lose(by, reason)
  redis.call('HSET', control, 'stream_until', '0', 'stream_by', listener, 'stream_connection', by, 'stream_lost', reason,
    'stream_at', digits(now))
  journal(events, 'stream', now, {'{"kind":"stream_lost","id":"stream:lost:' .. digits(now) .. '","connection":"' .. by ..
    '","reason":' .. reason .. '}'})
  return {'lost', ''}
end

local function vouch()
  redis.call('HSET', control, 'stream_until', digits(now + lease_ms))
  return {'whole', ''}
end

if action == 'lost' then
  if vouched and known[2] ~= listener then return {'whole', ''} end -- another listener has heard what this one missed
  if not lost then return lose(connection, ARGV[4]) end
  redis.call('HSET', control, 'stream_connection', connection)
  return {'lost', ''}
end

if action == 'keep' then
  if untold or lost then return {'lost', ''} end
  -- It stood still for so long that the venue may have given it up without its knowing.
  if not vouched then return lose('', '"nobody vouched for it in time"') end
  if ARGV[7] == 'stored' then redis.call('HSET', control, 'stream_watermark', digits(now)) end
  return vouch()
end

-- A connection that was told to be lost is lost, however late its last word comes.
if lost and connection == known[3] then return {'lost', ''} end
local entry = ARGV[7]
if entry == '' then entry = newest_entry(evidence) end
if not applied_until(evidence, group, entry) then return {'behind', entry} end
if lost or untold or not vouched then
  redis.call('HDEL', control, 'stream_lost')
  redis.call('HSET', control, 'stream_by', listener, 'stream_connection', connection, 'stream_at', digits(now))
  journal(events, 'stream', now, {'{"kind":"stream_whole","id":"stream:whole:' .. digits(now) .. '","connection":"' ..
    connection .. '","entry":"' .. entry .. '"}'})
end
return vouch()
