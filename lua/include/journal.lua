-- One entry of `events` for everything this call changed; none when it changed nothing.
local function journal(events, script, at_ms, changes)
  if #changes == 0 then return '' end
  local head, last = '{"v":1,"script":"' .. script .. '","at_ms":' .. digits(at_ms) .. ',"changes":[', ']}'
  -- The whole is put together once: Lua hashes every string it makes from end to end, and this one holds all changes.
  if #changes == 1 then return redis.call('XADD', events, '*', 'data', head .. changes[1] .. last) end
  changes[1], changes[#changes] = head .. changes[1], changes[#changes] .. last
  return redis.call('XADD', events, '*', 'data', table.concat(changes, ','))
end
