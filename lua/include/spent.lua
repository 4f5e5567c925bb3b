-- Identities of orders whose record was forgotten stay spent: an old intent that comes again is refused, not sent.
local function count_months(months)
  local _, commas = string.gsub(months, ',', '')
  return months == '' and 0 or commas + 1
end

-- 16 bytes of the identity's digest; forgetting an order keeps no more of it.
local function spent_mark(client_order_id)
  local hex = string.sub(redis.sha1hex(client_order_id), 1, 32)
  return (string.gsub(hex, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end

local function is_spent(client_order_id, keys, first, count)
  for number = first, first + count - 1 do
    if redis.call('SISMEMBER', keys[number], spent_mark(client_order_id)) == 1 then return true end
  end
  return false
end
