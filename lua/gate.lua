--[[
Ask for the gate, open it or shut it. It is open when the account was reconciled for this history of the server;
only the reconciler's last step opens it, and whoever comes back to an opening it has left shuts it.

KEYS[1]  control hash
KEYS[2]  events stream

ARGV[1]  ask | open | shut
ARGV[2]  open: the history that was reconciled, as an earlier call answered it; else empty
ARGV[3]  open: a token never used again, the name of this opening; shut: the name of the opening to end; else empty

Returns {'open' | 'shut', this server's history, the account's history or '', name of the opening or ''}
]]
--@include server
--@include journal
local control, events = KEYS[1], KEYS[2]
local action, given, token = ARGV[1], ARGV[2], ARGV[3]
local history, known = server_history(), redis.call('HMGET', control, 'history', 'gate')
local passed, name = known[1] or '', known[2] or ''

if action == 'open' and given == history and passed ~= history then
  redis.call('HSET', control, 'history', history, 'gate', token)
  journal(events, 'gate', now_ms(), {'{"kind":"opened","id":"' .. token .. '","history":"' .. history .. '"}'})
  passed, name = history, token
elseif action == 'shut' and passed == history and name == token then
  redis.call('HDEL', control, 'history', 'gate')
  journal(events, 'gate', now_ms(), {'{"kind":"shut","id":"shut:' .. token .. '","history":"' .. history .. '"}'})
  passed, name = '', ''
end
return {passed == history and 'open' or 'shut', history, passed, name}
