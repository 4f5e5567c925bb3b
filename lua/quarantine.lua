--[[
Quarantine an entry that cannot be used: its bytes and the reason are kept, and it is acknowledged.

KEYS[1]  stream it came by
KEYS[2]  quarantine stream
KEYS[3]  events stream
KEYS[4]  control hash

ARGV[1]  consumer group
ARGV[2]  entry id
ARGV[3]  reason and origin, JSON
ARGV[4]  the bytes
ARGV[5]  change, JSON
ARGV[6]  lease epoch, or empty when a gateway calls

Returns
  {'quarantined', id}  stored and acknowledged
  {'gone', ''}         the entry is not pending: somebody dealt with it before
Errors  HISTORY_CHANGED, LEASE_LOST
]]
--@include server
--@include journal
--@include lease
local source, quarantine, events, control = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, entry = ARGV[1], ARGV[2]

if history_changed(control) then return refuse_history() end
if ARGV[6] ~= '' and redis.call('HGET', control, 'ledger_epoch') ~= ARGV[6] then return refuse_lease() end
if #redis.call('XPENDING', source, group, entry, entry, 1) == 0 then return {'gone', ''} end

local id = redis.call('XADD', quarantine, '*', 'data', ARGV[3], 'raw', ARGV[4])
journal(events, 'quarantine', now_ms(), {ARGV[5]})
redis.call('XACK', source, group, entry)
return {'quarantined', id}
