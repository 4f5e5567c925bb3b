"""The gate: after the server's history changed, trading waits until the venue's orders and ours agree.

A fresh account agrees at once. After a restart every order the venue lists with our prefix must have its
record here; what it says of them goes into `evidence`. The last step alone sets the history (R5).
"""

import logging
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import CouldNotAsk, Decoder, Rows, Venue
from streams.clock import Clock
from streams.errors import BadPayload, StoreUnreachable
from streams.evidence import append
from streams.identity import is_ours
from streams.keys import AccountKeys
from streams.schemas import Evidence, OrderReport
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.reconciler")

RETRY_MS = 500
# Before the last surviving write: its clock, the venue's, and an order that was on its way.
OVERLAP_MS = 60_000


class Shut(Struct, frozen=True):
    """Why the gate stays shut."""

    reason: str


class Reconciler:
    """Opens the gate of one account when local and venue agree."""

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, venue: Venue, decode: Decoder, symbols: tuple[str, ...],
        window_ms: int, clock: Clock,
    ) -> None:  # fmt: skip
        """Bind it; a claim that was lost may still go out for `window_ms`, the account's longest send window."""
        self._redis, self._keys, self._venue, self._decode = redis, keys, venue, decode
        self._symbols, self._window_ms, self._clock = symbols, window_ms, clock
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)
        self.shut: Shut | None = None

    async def ensure_open(self) -> bool:
        """Open the gate if the account may trade under the server's present history; whether it is open."""
        try:
            is_open, history, known = await self._scripts.gate()
            if not is_open:
                self.shut = await self._reconcile(fresh=not known)
                if self.shut is None:
                    is_open, _, _ = await self._scripts.gate(history)
                    log.info("the gate is open")
        except (CouldNotAsk, StoreUnreachable, RedisError, OSError) as error:
            self.shut = Shut(f"could not ask: {error}")
            is_open = False
        if self.shut is not None:
            log.warning("the gate stays shut: %s", self.shut.reason)
        return is_open

    async def _reconcile(self, *, fresh: bool) -> Shut | None:
        last: Any = await self._redis.xrevrange(self._keys.events, count=1)
        if fresh and not last:
            return None
        last_ms = int(last[0][0].split(b"-")[0]) if last else 0  # an entry's id begins with the server's clock
        await self._wait_for_windows()
        strange: list[str] = []
        for symbol in self._symbols:
            rows = await self._venue.orders_since(symbol, max(0, last_ms - OVERLAP_MS))
            strange += await self._without_record(rows)
            said = Evidence(source="backfill", format=rows.format, received_at_ns=self._clock.now_ns())
            await append(self._redis, self._keys, [(said, row) for row in rows.rows])
        if strange:
            return Shut(f"{len(strange)} orders at the venue have our prefix and no record here, first {strange[0]}")
        return None

    async def _without_record(self, rows: Rows) -> list[str]:
        rule, named = self._venue.facts.id_rule, set()
        for row in rows.rows:
            try:
                facts = self._decode(rows.format, row)
            except BadPayload:
                continue  # the ledger quarantines it with the reason
            named |= {fact.client_order_id for fact in facts if isinstance(fact, OrderReport)}
        ours = sorted(name for name in named if name is not None and is_ours(name, rule))
        found = await self._store.orders(ours) if ours else []
        return [name for name, order in zip(ours, found, strict=True) if order is None]

    async def _wait_for_windows(self) -> None:
        """Wait until no claim that was lost can still be sent: they are older than this server's start."""
        facts = self._venue.facts
        info = await self._redis.info("server")
        up_ms = int(info["uptime_in_seconds"]) * 1000
        wait_ms = self._window_ms + facts.request_lifetime_ms + facts.lookup_lag_ms + facts.clock_bound_ms - up_ms
        if wait_ms > 0:
            log.info("waits %d ms until no lost send window is open", wait_ms)
            await self._clock.sleep_ms(wait_ms)
