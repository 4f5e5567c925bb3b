-- The server's history and clock, read inside the script: nothing can change between check and write.
-- Found as plain text: a pattern is tried at every one of its two thousand bytes, which costs more than INFO itself.
local function server_history()
  local info = redis.call('INFO', 'server', 'replication')
  local _, run = string.find(info, 'run_id:', 1, true)
  local _, replication = string.find(info, 'master_replid:', run, true)
  return string.sub(info, run + 1, run + 40) .. string.sub(info, replication + 1, replication + 40)
end

local function history_changed(control)
  return redis.call('HGET', control, 'history') ~= server_history()
end

-- The gate may have been opened before another server served this address: an opening is named by a token of its own,
-- and whoever sends says which one it has passed.
local function gate_moved(control, gate)
  return (redis.call('HGET', control, 'gate') or '') ~= gate
end

local function refuse_gate(control)
  return redis.error_reply('GATE_MOVED ' .. (redis.call('HGET', control, 'gate') or ''))
end

local function refuse_history()
  return redis.error_reply('HISTORY_CHANGED the account was not reconciled for this history of the server')
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Whole numbers beyond 2^31 as text; tostring would write an exponent.
local function digits(number)
  return string.format('%.0f', number)
end
