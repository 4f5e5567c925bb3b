"""Pure: Binance's request weight of an address (per minute) and order counts of an account (per 10 s and per day).

The defaults are far above Binance's own (6000, 100 and 200,000), so that a test meets limits only if it wants to.
"""

from collections import Counter

import msgspec

from adapters.simulated.refusals import too_many_orders, too_much_weight

_MINUTE_MS = 60_000
_TEN_SECONDS_MS = 10_000
_DAY_MS = 86_400_000


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may be used in each fixed interval."""

    weight_1m: int = 6_000_000
    orders_10s: int = 100_000
    orders_1d: int = 200_000_000


class Meter:
    """What was used so far; every interval begins at nothing.

    Attributes:
        weight: what is used in the current minute.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._minute = -1
        self.weight = 0
        self._orders: dict[int, Counter[str]] = {_TEN_SECONDS_MS: Counter(), _DAY_MS: Counter()}
        self._began = dict.fromkeys(self._orders, -1)

    def spend(self, weight: int, now_ms: int) -> int:
        """Use request weight; returns what is used in this minute.

        Raises:
            Refusal: -1003, with the seconds until the next minute.
        """
        if now_ms // _MINUTE_MS != self._minute:
            self._minute, self.weight = now_ms // _MINUTE_MS, 0
        self.weight += weight
        if self.weight > self._limits.weight_1m:
            raise too_much_weight(self._limits.weight_1m, (_MINUTE_MS - now_ms % _MINUTE_MS) // 1000 + 1)
        return self.weight

    def count_order(self, account: str, now_ms: int) -> tuple[int, int]:
        """Count an order; returns the counts of 10 seconds and of the day.

        Raises:
            Refusal: -1015.
        """
        self._turn(now_ms)
        ten_seconds, day = self._orders[_TEN_SECONDS_MS], self._orders[_DAY_MS]
        if ten_seconds[account] >= self._limits.orders_10s:
            raise too_many_orders(self._limits.orders_10s, "10 SECOND")
        if day[account] >= self._limits.orders_1d:
            raise too_many_orders(self._limits.orders_1d, "1 DAY")
        ten_seconds[account] += 1
        day[account] += 1
        return ten_seconds[account], day[account]

    def describe(self) -> list[dict[str, object]]:
        """The limits as `GET /api/v3/exchangeInfo` prints them."""
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        orders = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10}
        daily = {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1}
        return [
            {**weight, "limit": self._limits.weight_1m},
            {**orders, "limit": self._limits.orders_10s},
            {**daily, "limit": self._limits.orders_1d},
        ]

    def usage(self) -> list[dict[str, object]]:
        """The `rateLimits` array of an answer on the websocket."""
        return [{**self.describe()[0], "count": self.weight}]

    def _turn(self, now_ms: int) -> None:
        for interval_ms, counts in self._orders.items():
            if now_ms // interval_ms != self._began[interval_ms]:
                self._began[interval_ms] = now_ms // interval_ms
                counts.clear()
