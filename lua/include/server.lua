-- The server's history and clock, read inside the script: nothing can change between check and write.
-- A server draws its replication id anew at every start and at every promotion, so it names both, the run and the
-- lineage; the section that says it is a third of what INFO would write for the run id as well.
-- Found as plain text: a pattern is tried at every byte, which costs more than INFO itself.
local function server_history()
  local info = redis.call('INFO', 'replication')
  local _, at = string.find(info, 'master_replid:', 1, true)
  return string.sub(info, at + 1, at + 40)
end

local function history_changed(control)
  return redis.call('HGET', control, 'history') ~= server_history()
end

local function refuse_history()
  return redis.error_reply('HISTORY_CHANGED the account was not reconciled for this history of the server')
end

local function refuse_months()
  return redis.error_reply('SPENT_CHANGED the months of spent identities are others now')
end

-- What keeps orders from being made and sent; nil when nothing does. The gate may have been opened before another
-- server served this address: an opening is named by a token of its own, and whoever sends says which one it has
-- passed. The months of spent identities name keys, so the caller must know them too. Second it returns whether nothing
-- but the history keeps them.
local function refusal(control, opening, months)
  local known = redis.call('HMGET', control, 'history', 'gate', 'spent')
  if (known[2] or '') ~= opening then return redis.error_reply('GATE_MOVED ' .. (known[2] or '')), false end
  if (known[3] or '') ~= months then return refuse_months(), false end
  if known[1] ~= server_history() then return refuse_history(), true end
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Whole numbers beyond 2^31 as text; tostring would write an exponent.
local function digits(number)
  return string.format('%.0f', number)
end
