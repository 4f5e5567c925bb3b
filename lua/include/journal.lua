-- One entry of `events` for everything this call changed; none when it changed nothing.
local function journal(events, script, at_ms, changes)
  if #changes == 0 then return '' end
  local told = #changes == 1 and changes[1] or table.concat(changes, ',')
  local body = '{"v":1,"script":"' .. script .. '","at_ms":' .. digits(at_ms) .. ',"changes":[' .. told .. ']}'
  return redis.call('XADD', events, '*', 'data', body)
end
