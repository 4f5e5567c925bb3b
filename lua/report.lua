--[[
Keep the report of a reconciliation.

KEYS[1]  control hash
KEYS[2]  events stream

ARGV[1]  id of the report
ARGV[2]  change as JSON, may be empty: nothing that the last report has not told
ARGV[3]  summary as JSON, for people

Returns 'kept'
Errors  HISTORY_CHANGED
]]
--@include server
--@include journal
local control, events = KEYS[1], KEYS[2]
local id, change, summary = ARGV[1], ARGV[2], ARGV[3]

if history_changed(control) then return refuse_history() end
if redis.call('HGET', control, 'report') == id then return 'kept' end -- a repeated call
redis.call('HSET', control, 'report', id, 'reconciled', summary)
if change ~= '' then journal(events, 'report', now_ms(), {change}) end
return 'kept'
