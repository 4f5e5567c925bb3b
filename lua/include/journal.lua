-- One entry of `events` for everything this call changed; none when it changed nothing.
local function journal(events, script, at_ms, changes)
  if #changes == 0 then return '' end
  -- Put together in one step: Lua hashes every string it makes from end to end, and this one has all the others in it.
  changes[1] = '{"v":1,"script":"' .. script .. '","at_ms":' .. digits(at_ms) .. ',"changes":[' .. changes[1]
  changes[#changes] = changes[#changes] .. ']}'
  return redis.call('XADD', events, '*', 'data', #changes == 1 and changes[1] or table.concat(changes, ','))
end
