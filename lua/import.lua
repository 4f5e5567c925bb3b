--[[
Import orders that the venue lists under our prefix: after this none of them can be claimed as if it were new.

KEYS[1]   events stream
KEYS[2]   live sorted set
KEYS[3]   control hash
KEYS[4+]  spent sets of the months in ARGV[4], then order hashes, one per item of the plan

ARGV[1]  plan, msgpack: list of maps {client_order_id, terms, state, digest, valid_until_ms}
ARGV[2]  the server's history that is being reconciled
ARGV[3]  what caused it, JSON string
ARGV[4]  months of spent identities, comma separated, as the control hash has them

Returns a list, one per item
  'imported'  had no record, only a tombstone, or one that was published since the gate was shut and may differ from
              what was sent; it is `unknown` now, and evidence will say more
  'lost'      had a record that says it was never sent, so its claim is lost; it is `unknown` now
  'doubted'   had a record whose claim is open; it is `unknown` now
  'known'     has a record that evidence can move
  'spent'     was an order so long ago that its record is forgotten: all of it was counted then
Errors  HISTORY_CHANGED, SPENT_CHANGED
]]
--@include server
--@include journal
--@include spent
local events, live, control = KEYS[1], KEYS[2], KEYS[3]
local plan, history, cause = cmsgpack.unpack(ARGV[1]), ARGV[2], ARGV[3]

local months = count_months(ARGV[4])

if history ~= server_history() then return refuse_history() end
local gate = redis.call('HMGET', control, 'spent', 'gate')
if (gate[1] or '') ~= ARGV[4] then return refuse_months() end
local opening = gate[2] or '' -- the last one; what was published since it was shut names it

local now, changes, answers = now_ms(), {}, {}

local function import(key, item)
  local known = redis.call('HMGET', key, 'status', 'terms', 'token', 'early')
  if known[2] and known[1] ~= 'created' and known[1] ~= 'submitting' then return 'known' end
  local id = item.client_order_id
  if not known[2] and is_spent(id, KEYS, 4, months) then return 'spent' end
  redis.call('HSET', key, 'status', 'unknown')
  redis.call('ZADD', live, now, id)
  redis.call('HSET', control, 'exposure', 'imported:' .. id .. ':' .. digits(now)) -- it may execute all of it
  if known[2] and not (known[1] == 'created' and known[4] == opening) then
    local token = known[3] or ''
    changes[#changes + 1] = '{"kind":"doubted","id":"import:' .. id .. '","client_order_id":"' .. id ..
      '","token":"' .. token .. '","cause":' .. cause .. '}'
    return known[1] == 'created' and 'lost' or 'doubted'
  end
  -- Its fingerprint is lost with its intent; an empty one takes the intent for the same when it comes again.
  redis.call('HSET', key, 'terms', item.terms, 'state', item.state, 'digest', item.digest, 'fingerprint', '',
    'valid_until', digits(item.valid_until_ms))
  changes[#changes + 1] = '{"kind":"imported","id":"' .. item.digest .. '","client_order_id":"' .. id ..
    '","terms":' .. item.terms .. ',"valid_until_ms":' .. digits(item.valid_until_ms) .. ',"cause":' .. cause .. '}'
  return 'imported'
end

for index, item in ipairs(plan) do answers[index] = import(KEYS[3 + months + index], item) end
journal(events, 'import', now, changes)
return answers
