"""Pure: Binance's request weight of an address (per minute) and order counts of an account (10 s; a day, or a minute).

The defaults are far above Binance's own (6000, 100 and 200,000), so that a test meets limits only if it wants to.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

from adapters.simulated.refusals import too_many_orders, too_much_weight

_MINUTE_MS = 60_000
_TEN_SECONDS_MS = 10_000
_DAY_MS = 86_400_000


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may be used in each fixed interval."""

    weight_1m: int = 6_000_000
    orders_10s: int = 100_000
    orders_1m: int = 1_000_000
    orders_1d: int = 200_000_000


class _Longer(msgspec.Struct, frozen=True):
    """The second interval in which orders are counted: at spot a day, at USDⓈ-M a minute."""

    interval_ms: int
    limit: int
    unit: str
    letter: str


class Meter:
    """What was used so far; every interval begins at nothing.

    Attributes:
        weight: what is used in the current minute.
        refused: requests that were too many.
    """

    def __init__(self, limits: Limits, product: Literal["spot", "usdm"] = "spot") -> None:
        self._limits = limits
        self._minute = -1
        self.weight = self.refused = 0
        self._longer = _Longer(_DAY_MS, limits.orders_1d, "DAY", "1d")
        if product == "usdm":
            self._longer = _Longer(_MINUTE_MS, limits.orders_1m, "MINUTE", "1m")
        self._orders: dict[int, Counter[str]] = {_TEN_SECONDS_MS: Counter(), self._longer.interval_ms: Counter()}
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
            self.refused += 1
            raise too_much_weight(self._limits.weight_1m, (_MINUTE_MS - now_ms % _MINUTE_MS) // 1000 + 1)
        return self.weight

    def count_order(self, account: str, now_ms: int) -> tuple[int, int]:
        """Count an order; returns the counts of 10 seconds and of the longer interval.

        Raises:
            Refusal: -1015.
        """
        self._turn(now_ms)
        ten_seconds, longer = self._orders.values()
        for counts, limit, name in (
            (ten_seconds, self._limits.orders_10s, "10 SECOND"), (longer, self._longer.limit, f"1 {self._longer.unit}"),
        ):  # fmt: skip
            if counts[account] >= limit:
                self.refused += 1
                raise too_many_orders(limit, name)
        ten_seconds[account] += 1
        longer[account] += 1
        return ten_seconds[account], longer[account]

    def headers(self, ten_seconds: int, longer: int) -> Mapping[str, str]:
        """What an answer to an order tells of its counts."""
        return {"x-mbx-order-count-10s": str(ten_seconds), f"x-mbx-order-count-{self._longer.letter}": str(longer)}

    def describe(self) -> list[dict[str, object]]:
        """The limits as `GET /api/v3/exchangeInfo` prints them."""
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        orders = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10}
        longer = {"rateLimitType": "ORDERS", "interval": self._longer.unit, "intervalNum": 1}
        return [
            {**weight, "limit": self._limits.weight_1m},
            {**orders, "limit": self._limits.orders_10s},
            {**longer, "limit": self._longer.limit},
        ]

    def usage(self) -> list[dict[str, object]]:
        """The `rateLimits` array of an answer on the websocket."""
        return [{**self.describe()[0], "count": self.weight}]

    def _turn(self, now_ms: int) -> None:
        for interval_ms, counts in self._orders.items():
            if now_ms // interval_ms != self._began[interval_ms]:
                self._began[interval_ms] = now_ms // interval_ms
                counts.clear()
