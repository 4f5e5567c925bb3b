--[[
Ask for the gate, open it, enable new exposure or shut it. It is open when the account was reconciled for this history
of the server; only the reconciler's last step opens it, and whoever comes back to an opening it has left shuts it.

KEYS[1]  control hash
KEYS[2]  events stream
KEYS[3]  evidence stream

ARGV[1]  ask | open | enable | shut
ARGV[2]  open: the history that was reconciled, as an earlier call answered it; else empty
ARGV[3]  open: a token never used again, the name of this opening; enable, shut: the name of the opening; else empty
ARGV[4]  open: guarded when new exposure is to wait until it is enabled; else empty
ARGV[5]  consumer group of evidence

Returns {'open' | 'shut', this server's history, the account's history or '', name of the opening or '', what new
        exposure waits for: 'ledger' to apply what was reconciled, 'stream' to be whole, 'enable', or '' for nothing}
]]
--@include server
--@include journal
--@include entries
local control, events, evidence = KEYS[1], KEYS[2], KEYS[3]
local action, given, token, group = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local history, known = server_history(), redis.call('HMGET', control, 'history', 'gate')
local passed, name = known[1] or '', known[2] or ''

local function waits_for()
  local ready = redis.call('HMGET', control, 'starting', 'stream_until')
  if not ready[1] then return '' end
  if not applied_until(evidence, group, ready[1]) then return 'ledger' end
  if tonumber(ready[2] or '0') <= now_ms() then return 'stream' end
  return 'enable'
end

if action == 'open' and given == history and passed ~= history then
  redis.call('HSET', control, 'history', history, 'gate', token)
  if ARGV[4] == 'guarded' then redis.call('HSET', control, 'starting', newest_entry(evidence)) end
  journal(events, 'gate', now_ms(), {'{"kind":"opened","id":"' .. token .. '","history":"' .. history .. '"}'})
  passed, name = history, token
elseif action == 'shut' and passed == history and name == token then
  redis.call('HDEL', control, 'history') -- its name stays, so that who has left it publishes nothing here
  journal(events, 'gate', now_ms(), {'{"kind":"shut","id":"shut:' .. token .. '","history":"' .. history .. '"}'})
  passed = ''
elseif action == 'enable' and passed == history and name == token and waits_for() == 'enable' then
  local applied = redis.call('HGET', control, 'starting')
  redis.call('HDEL', control, 'starting')
  journal(events, 'gate', now_ms(), {'{"kind":"enabled","id":"enabled:' .. token .. '","entry":"' .. applied .. '"}'})
end
return {passed == history and 'open' or 'shut', history, passed, name, waits_for()}
