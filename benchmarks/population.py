"""Many known orders in a moment: one that went the whole way, copied under other names by the server itself.

A copy has what the real one has: its record, the key of its venue order and its place in `live` or `ended`, as many
bytes each. Only the names differ, and those have the same length.
"""

from typing import Final, Literal

from redis.asyncio import Redis

from adapters.binance.facts import FACTS
from benchmarks.orders import Named
from streams.keys import AccountKeys

Kind = Literal["live", "ended"]

PAGE: Final = 1_000
PREFIX: Final = FACTS.id_rule.prefix
COPY: Final = """
-- KEYS[1] record, KEYS[2] venue order, KEYS[3] live or ended
-- ARGV first number, how many, prefix of records, prefix of venue orders, score of the first, format of a name
for number = tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2]) - 1 do
  local id = string.format(ARGV[6], number)
  redis.call('COPY', KEYS[1], ARGV[3] .. id)
  redis.call('SET', ARGV[4] .. string.format('%d', number), id)
  redis.call('ZADD', KEYS[3], tonumber(ARGV[5]) + number - tonumber(ARGV[1]), id)
end
"""


async def copy(redis: Redis, keys: AccountKeys, order: Named, kind: Kind, numbers: range) -> None:
    """Copy one order, once for each number.

    Args:
        redis: where.
        keys: whose order.
        order: the one that is copied.
        kind: whether it is live or has ended.
        numbers: of the copies, of as many digits as the order's own.
    """
    width = len(order.client_order_id) - len(PREFIX)
    script = await redis.script_load(COPY)
    venue_order = keys.venue_order("BTCUSDT", str(order.number))
    prefix = venue_order.removesuffix(str(order.number))
    index = keys.live if kind == "live" else keys.ended
    # Nobody looks at a copy: live ones are due in ages, ended ones have ended one after the other in the last hours.
    seconds, _ = await redis.time()
    score = int(seconds) * 1000 + (10**10 if kind == "live" else -len(numbers))
    for start in range(numbers.start, numbers.stop, PAGE):
        some = min(PAGE, numbers.stop - start)
        where = (keys.order(order.client_order_id), venue_order, index)
        await redis.evalsha(
            script, 3, *where, start, some, keys.order(""), prefix, score + start - numbers.start, f"{PREFIX}%0{width}d"
        )
