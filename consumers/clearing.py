"""Cancels everything of a scope that was sent and has not ended, and tells what is left until nothing is.

Cancels go the way every cancel goes, by intents: what is in flight or unknown is cancelled when its outcome is known.
Orders at the venue that have no record here are somebody else's question, asked when nothing else is left.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import CouldNotAsk
from consumers.adoption import IMPORTED
from streams.clock import Clock
from streams.errors import FillonceError
from streams.keys import AccountKeys
from streams.producer import IntentProducer
from streams.schemas import Cancel, Order, OrderStatus
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.clearing")

POLL_MS, POLL_MAX_MS = 100, 5_000  # of the records; the venue is asked ever less often, a ban grows with asking
# A cancel that nobody has claimed for so long was lost with its entry; a second one is harmless.
ASK_AGAIN_MS = 5_000
PAGE = 500
WAITS = "the server restarted or was replaced: cancels go out when the account is reconciled"
SENT: frozenset[OrderStatus] = frozenset({"submitting", "unknown", "open", "partially_filled"})


class Orphans(Struct, frozen=True):
    """Orders at the venue without a record.

    Attributes:
        cancelled: those that were cancelled now.
        left: those that are still there, by the policy or because it could not be done.
        unclear: ours, and left because nobody can tell whether they belong to the scope.
        again: whether one of them counts only when a second look sees it, too.
    """

    cancelled: Sequence[str] = ()
    left: Sequence[str] = ()
    unclear: Sequence[str] = ()
    again: bool = False


class Left(Struct, frozen=True, kw_only=True):
    """What of a scope has not ended.

    Attributes:
        by_status: orders that were sent, counted.
        orders: their client order ids.
        orphans: at the venue, without a record; as of the last look.
        unclear: orders of ours that are left because nobody can tell whose strategy's they are; as of the last look.
        trouble: why the last round could not be made, or its cancels wait; else empty.
    """

    by_status: Mapping[str, int] = {}
    orders: Sequence[str] = ()
    orphans: Sequence[str] = ()
    unclear: Sequence[str] = ()
    trouble: str = ""

    @property
    def sentence(self) -> str:
        """In words, for a person who waits."""
        if self.trouble:
            return self.trouble
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self.by_status.items()))
        return f"{len(self.orders)} left ({counts})" if self.orders else "nothing left"


def concerned(orders: Sequence[Order], scope: str) -> list[Order]:
    """Choose those that were sent and have not ended; scopes as switches have them.

    Args:
        orders: with terms.
        scope: empty or `global` for all of them, `strategy:NAME`, `symbol:SYMBOL`.
    """
    kind, _, name = scope.partition(":")
    found = [one for one in orders if one.status in SENT and one.terms is not None]
    if kind not in ("strategy", "symbol"):
        return found
    return [one for one in found if name == (one.terms.strategy if kind == "strategy" else one.terms.symbol)]  # type: ignore[union-attr]  # asked for above


def adopted_from(orders: Sequence[Order], scope: str) -> list[str]:
    """Name the orders that were found at the venue without their intents, and so may be any strategy's."""
    if not scope.startswith("strategy:") or scope == f"strategy:{IMPORTED}":
        return []
    return [one.client_order_id for one in concerned(orders, f"strategy:{IMPORTED}")]


def to_ask(orders: Sequence[Order], asked_ms: Mapping[str, float], now_ms: float) -> list[str]:
    """Name those whose cancel is to be published: not requested, and not published a moment ago."""
    return [
        one.client_order_id
        for one in orders
        if not one.cancel_requested and now_ms - asked_ms.get(one.client_order_id, -ASK_AGAIN_MS) >= ASK_AGAIN_MS
    ]


class Clearing:
    """Cancels one account's orders of one scope.

    Attributes:
        asked: client order ids whose cancel was published.
        orphans: that were cancelled.
        left: as of the last round.
    """

    def __init__(
        self, redis: Redis, account: str, scope: str, clock: Clock, *, who: str,
        orphans: Callable[[], Awaitable[Orphans]] | None = None,
    ) -> None:  # fmt: skip
        """Bind it.

        Args:
            redis: a pool.
            account: whose orders.
            scope: as switches have it.
            clock: for pauses.
            who: asks for it.
            orphans: looks for orders without a record and cancels those that may be.
        """
        self._who = who
        self.asked: dict[str, float] = {}
        self.orphans: list[str] = []
        self.left = Left()
        self._redis, self._account, self._scope, self._clock = redis, account, scope, clock
        self._keys, self._find_orphans = AccountKeys(account), orphans
        self._store, self._producer = Store(redis, self._keys), IntentProducer(redis)
        self._scripts = Scripts(redis, self._keys)

    async def run(self, deadline_ms: int, show: Callable[[Left], None] = lambda _: None) -> bool:
        """Go on until nothing is left; False when the deadline came first.

        Args:
            deadline_ms: longest time.
            show: told of what is left whenever that has changed.
        """
        until_ms, pause_ms = self._clock.monotonic_ms() + deadline_ms, POLL_MS
        told: Left | None = None
        while True:
            done = await self._round()
            if self.left != told:
                told = self.left
                show(told)
            left_ms = until_ms - self._clock.monotonic_ms()
            if done or left_ms <= 0:
                return done
            pause_ms = POLL_MS if self.left.orders else min(pause_ms * 2, POLL_MAX_MS)
            await self._clock.sleep_ms(min(pause_ms, left_ms))

    async def _round(self) -> bool:
        try:
            live = await self._live()
            left, adopted = concerned(live, self._scope), adopted_from(live, self._scope)
            await self._ask(left)
            waits = WAITS if left and not (await self._scripts.gate()).is_open else ""
            self.left = Left(
                by_status=dict(Counter(one.status for one in left)), orders=[one.client_order_id for one in left],
                orphans=self.left.orphans, unclear=adopted, trouble=waits,
            )  # fmt: skip
            if left or not await self._no_orphans(adopted):
                return False
            # A patrol may have made a record of an orphan between the two looks, and then neither has seen it.
            return not concerned(await self._live(), self._scope)
        except (FillonceError, CouldNotAsk, RedisError, OSError) as error:
            log.info("%s: could not cancel: %s", self._account, error)
            why = f"{error}" if isinstance(error, FillonceError) else type(error).__name__
            self.left = replace(self.left, trouble=why)
            return False

    async def _no_orphans(self, adopted: Sequence[str]) -> bool:
        if self._find_orphans is None:
            return True
        found = await self._find_orphans()
        self.orphans += found.cancelled
        self.left = Left(orphans=found.left, unclear=sorted({*found.unclear, *adopted}))
        # What was adopted to be cancelled is an order now, and what was cancelled is looked for once more.
        return not found.cancelled and not found.again

    async def _ask(self, left: Sequence[Order]) -> None:
        now_ms = self._clock.monotonic_ms()
        names = to_ask(left, self.asked, now_ms)
        if names:
            wishes = [Cancel(account=self._account, client_order_id=name, who=self._who) for name in names]
            await self._producer.publish(wishes)
            self.asked |= dict.fromkeys(names, now_ms)

    async def _live(self) -> list[Order]:
        names: Any = await self._redis.zrange(self._keys.live, 0, -1)
        found: list[Order] = []
        for start in range(0, len(names), PAGE):
            page = await self._store.orders([name.decode() for name in names[start : start + PAGE]])
            found += [one for one in page if one is not None]
        return found
