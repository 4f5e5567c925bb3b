--[[
Open the gate: declare that the account was reconciled for this history of the server. The reconciler's last step.

KEYS[1]  control hash
KEYS[2]  events stream

ARGV[1]  the history that was reconciled, as `history` in the answer of an earlier call; empty only asks

Returns {'open' | 'shut', this server's history, the account's history or ''}
]]
--@include server
--@include journal
local control, events = KEYS[1], KEYS[2]
local history, known = server_history(), redis.call('HGET', control, 'history') or ''

if ARGV[1] == history and known ~= history then
  redis.call('HSET', control, 'history', history)
  journal(events, 'gate', now_ms(), {'{"kind":"opened","id":"' .. history .. '","history":"' .. history .. '"}'})
  known = history
end
return {known == history and 'open' or 'shut', history, known}
