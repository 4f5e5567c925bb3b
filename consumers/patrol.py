"""The periodic comparison of venue and records: when it looks, what it may do about it, and the report it leaves.

A light look (open orders, balances) comes often, a full one (closed orders and executions too) rarely; a light look
that finds something becomes a full one at once, because missing executions are fetched before anything else is
concluded; before a difference of amounts counts, the orders of a whole day are looked at. While something stands that
was found of orders, every look is full and goes back as far as the one that found it: else its order would not be
listed any more, and what it moved would be a drift that nobody can explain. Runs beside the resolver, with its venue.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import CouldNotAsk
from consumers.amounts import opening
from consumers.compare import compare, moves_amounts, remember
from consumers.findings import Finding, Terms
from consumers.look_back import look_back
from consumers.repair import Repair
from consumers.survey import Look, Survey
from streams import codec, events
from streams.clock import Clock
from streams.errors import HistoryChanged, StoreUnreachable
from streams.keys import AccountKeys
from streams.policy import Kind, Mode
from streams.schemas import TERMINAL
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.reconciler")

Depth = Literal["light", "full"]
# Before the last full look, or before the first one: what an order or a fill can be late by.
OVERLAP_MS = 60_000
FIRST_BACK_MS = 86_400_000
REPORTED_MAX = 200
UNDER_WAY_MAX = 8  # findings that are acted upon at once: the venue's budget belongs to orders first
RETRY_MS = 2_000
WATCH_MS = 250
JITTER = 0.2
# What only repeats the venue's own words is done at once; what changes more waits for a person.
MODES: Mapping[Kind, Mode] = {
    "orphan": "auto", "zombie": "auto", "double": "auto", "stale_fill": "auto", "status_drift": "auto",
    "busted": "report", "ghost": "report", "position_drift": "report", "balance_drift": "report",
    "unexplained": "report",
}  # fmt: skip

# What is found in lists of orders and executions, which are asked for since a moment.
OF_ORDERS: frozenset[Kind] = frozenset({"orphan", "zombie", "double", "stale_fill", "status_drift", "busted"})

BY_TWO_LOOKS: frozenset[Kind] = frozenset({"zombie", "busted"})


class PatrolSettings(Struct, frozen=True, kw_only=True):
    """What a patrol needs of the settings.

    Attributes:
        light_ms: between two light looks.
        full_ms: between two full ones.
        terms: thresholds and policies.
        modes: kind -> mode, where it differs from the default.
    """

    light_ms: int
    full_ms: int
    terms: Terms
    modes: Mapping[Kind, Mode] = {}

    def mode(self, kind: Kind) -> Mode:
        """What may be done about findings of a kind without asking."""
        return self.modes.get(kind, MODES[kind])


class Report(Struct, frozen=True, kw_only=True):
    """What one reconciliation found and did.

    Attributes:
        done: finding id -> what was done.
        opened: whether the holdings before the first fill were recorded by it.
        vain: ids of findings that stand although something was done about them long enough ago.
    """

    account: str
    asked_at_ms: int
    depth: Depth
    because: str
    findings: Sequence[Finding]
    done: Mapping[str, str] = {}
    opened: bool = False
    vain: frozenset[str] = frozenset()

    @property
    def left(self) -> list[Finding]:
        """Confirmed findings that matter and about which nothing was done, or nothing that helped."""
        helped = self.done.keys() - self.vain
        return [one for one in self.findings if one.confirmed and one.severity != "info" and one.id not in helped]

    @property
    def held(self) -> list[str]:
        """What was not compared, because findings that stand would be the difference: assets (`*`: all), positions."""
        return sorted({name for one in self.findings for name in one.holds})


class Patrol:
    """Compares one account's venue and records, again and again.

    Attributes:
        looks: answered looks since the start.
        found: findings of the last look.
        acted: findings about which something was done, since the start.
        failed: why the last look had no answer; empty when it had one.
        failures: looks without an answer since one had one.
        settings: what it was given.
    """

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, survey: Survey, repair: Repair, settings: PatrolSettings,
        clock: Clock, jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        """Bind it."""
        self.looks = self.found = self.acted = self.failures = 0
        self.failed = ""
        self._redis, self._keys, self._survey, self._repair = redis, keys, survey, repair
        self.settings, self._clock, self._jitter = settings, clock, jitter
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)
        self._seen: dict[str, int] = {}
        self._told: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        self._full_from_ms: int | None = None
        self._far: frozenset[str] = frozenset()  # differences of amounts for which the far past was looked at, too
        self._back: dict[str, int] = {}  # finding id -> since when the venue was asked as it was found
        self._last: tuple[Any, Any] | None = None  # the signs as they were seen last
        self._candidate: dict[str, Decimal] | None = None
        self._tried: dict[str, int] = {}  # finding id -> when something was done about it first
        self._ask_at_ms = 0.0  # the venue wants no question before

    async def run(self) -> None:
        """Look for ever; whoever started it cancels it."""
        because, full_at_ms = "start", 0.0
        self._last = await self._signs()
        while True:
            depth: Depth = "full" if self._clock.monotonic_ms() >= full_at_ms or because != "time" else "light"
            if await self._round(depth, because) and depth == "full":
                full_at_ms = self._clock.monotonic_ms() + self._jittered(self.settings.full_ms)
            because = await self._pause(self._jittered(RETRY_MS if self.failed else self.settings.light_ms))

    def figures(self) -> dict[str, int | str]:
        """How often comparing failed since it last succeeded, and why; nothing while it succeeds."""
        return {"reconcile_failures": self.failures, "reconcile_failed": self.failed} if self.failures else {}

    async def once(self, depth: Depth, because: str, act: Callable[[Finding], bool] | None = None) -> Report:
        """Look once and act on what is confirmed.

        Args:
            depth: `light` or `full`; a light look that finds something becomes a full one.
            because: what made it happen, for the report.
            act: says of a confirmed finding whether to act on it; by default the settings' modes do.

        Raises:
            CouldNotAsk: the venue did not answer everything; nothing was concluded.
            StoreUnreachable, RedisError: our side could not be read.
        """
        depth = "full" if self._back else depth
        look, findings = await self._look(depth)
        if depth == "light" and findings:
            depth = "full"
            look, findings = await self._look(depth)
        # Of the last one: a light look may have compared less.
        self._seen = remember(findings, self._seen, look.there.asked_at_ms)
        opened = self._opening(look, findings)
        if opened:
            await self._repair.opening(opened, look)
        allowed = act or (lambda one: self.settings.mode(one.kind) == "auto")
        done = await self._act([one for one in findings if one.confirmed and allowed(one)], look)
        now_ms, gap_ms = look.there.asked_at_ms, self.settings.terms.gap_ms
        tried = done.keys() | self._tried.keys()
        self._tried = {one.id: self._tried.get(one.id, now_ms) for one in findings if one.id in tried}
        self.looks += 1
        self.found, self.acted = len(findings), self.acted + len(done)
        report = Report(
            account=self._keys.account, asked_at_ms=look.there.asked_at_ms, depth=depth, because=because,
            findings=findings, done=done, opened=bool(opened),
            vain=frozenset(name for name, since_ms in self._tried.items() if now_ms - since_ms >= gap_ms),
        )  # fmt: skip
        await self._keep(report)
        return report

    async def _act(self, findings: Sequence[Finding], look: Look) -> dict[str, str]:
        """Act on findings, several at a time: each is about something of its own."""
        room = asyncio.Semaphore(UNDER_WAY_MAX)

        async def act(one: Finding) -> str:
            async with room:
                return await self._repair.act(one, look)

        said = await asyncio.gather(*(act(one) for one in findings))
        return {one.id: what for one, what in zip(findings, said, strict=True) if what}

    async def _look(self, depth: Depth) -> tuple[Look, list[Finding]]:
        since_ms = await self._since_ms() if depth == "full" else None
        look, findings = await self._compared(since_ms)
        if since_ms is not None:
            sure = frozenset(one.id for one in findings if one.action == "adjust" and one.confirmed)
            if sure - self._far and (far_ms := await self._first_ms()) < since_ms:
                # The venue may have taken back, or told late, what an order of long ago executed: that comes first.
                since_ms = far_ms
                look, findings = await self._compared(since_ms)
            self._far = (self._far | sure) & {one.id for one in findings}
            self._full_from_ms = look.there.asked_at_ms
            self._back = {one.id: self._back.get(one.id, since_ms) for one in findings if _stands(one)}
        return look, findings

    async def _compared(self, since_ms: int | None) -> tuple[Look, list[Finding]]:
        look = await self._survey.look(since_ms)
        return look, compare(look.here, look.there, self.settings.terms, self._seen)

    def _opening(self, look: Look, findings: Sequence[Finding]) -> dict[str, Decimal] | None:
        """What was held before the first fill, once it is certain: nothing can trade, or two looks agree on it.

        What the venue executed and no record has would be taken for it.
        """
        found = None if moves_amounts(findings) else opening(look.here, look.there)
        live = any(order.status not in TERMINAL for order in look.here.orders.values())
        certain = found is not None and (not live or found == self._candidate)
        self._candidate = found
        return found if certain else None

    async def _since_ms(self) -> int:
        now_ms = await self._store.now_ms()
        if self._full_from_ms is not None:
            return look_back(min([self._full_from_ms - OVERLAP_MS, *self._back.values()]), now_ms)
        last: Any = await self._redis.hget(self._keys.control, "reconciled")  # of another process perhaps
        stands_ms = msgspec.json.decode(last).get("stands_ms", now_ms) if last else now_ms
        return look_back(min(await self._first_ms(), stands_ms), now_ms)

    async def _first_ms(self) -> int:
        """Since when the first look asks, and one that would book a difference."""
        now_ms = await self._store.now_ms()
        first: Any = await self._redis.xrange(self._keys.events, count=1)
        began_ms = events.decode(first[0][1][b"data"]).at_ms if first else now_ms
        return max(began_ms, now_ms - FIRST_BACK_MS) - OVERLAP_MS

    async def _round(self, depth: Depth, because: str) -> bool:
        if self._clock.monotonic_ms() < self._ask_at_ms:
            return False
        try:
            report = await self.once(depth, because)
        except (CouldNotAsk, StoreUnreachable, HistoryChanged, RedisError, OSError) as error:
            self.failed = f"{error}" if isinstance(error, CouldNotAsk) else type(error).__name__
            self.failures += 1
            if isinstance(error, CouldNotAsk):
                self._ask_at_ms = self._clock.monotonic_ms() + error.wait_ms
            log.warning("could not compare: %s", self.failed)
            return False
        except Exception as error:  # a defect that meets one look must not end whoever looks after the orders
            self.failed = type(error).__name__
            self.failures += 1
            log.exception("could not compare")
            return False
        self.failed, self.failures = "", 0
        for one in report.left:
            log.warning("%s %s: %s here, %s at the venue", one.kind, one.subject, one.here, one.there)
        return True

    async def _keep(self, report: Report) -> None:
        """Keep the report; the journal gets it when it says something that the last one did not."""
        ids = frozenset(one.id for one in report.findings if one.confirmed)
        digest = codec.parked_digest([one.encode() for one in sorted(ids)])[:16]
        name = f"reconciled:{report.asked_at_ms}:{digest}"
        done = {name: what for name, what in report.done.items() if name not in report.vain}
        told = [_found(one, done) for one in report.findings if one.confirmed]
        change = events.Reconciled(
            id=name, depth=report.depth, because=report.because, findings=tuple(told[:REPORTED_MAX]),
            left_out=max(0, len(told) - REPORTED_MAX),
        )  # fmt: skip
        said = ids, report.vain
        news = said != self._told or report.because not in ("time", "command")
        self._told = said
        summary = codec.encode_text(
            {
                "at_ms": report.asked_at_ms, "depth": report.depth, "findings": len(told), "left": len(report.left),
                "in_doubt": sum(not one.confirmed and one.severity != "info" for one in report.findings),
                "not_compared": report.held, **({"stands_ms": min(self._back.values())} if self._back else {}),
            }
        )  # fmt: skip
        await self._scripts.report(name, codec.encode_text(change) if news else "", summary)

    async def _pause(self, pause_ms: float) -> str:
        """Wait for the next look; a stream that came back or a new history of the server makes it come at once.

        So does one that came back while the last look was under way.
        """
        until_ms = self._clock.monotonic_ms() + pause_ms
        while True:
            before, now = self._last, await self._signs()
            self._last = now or before
            if before is not None and now is not None and now != before:
                return "history" if now[0] != before[0] else "reconnect"
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                return "time"
            await self._clock.sleep_ms(min(WATCH_MS, left_ms))

    async def _signs(self) -> tuple[Any, Any] | None:
        try:
            history, filled = await self._redis.hmget(self._keys.control, ("history", "stream_filled"))
        except (RedisError, OSError):
            return None
        return history, filled

    def _jittered(self, pause_ms: int) -> float:
        """Between 0.8 and 1.2 of it, so that many accounts do not ask at one moment."""
        return pause_ms * (1 + JITTER * (2 * self._jitter() - 1))


def _stands(one: Finding) -> bool:
    """Whether every look is to find it again; what is only on its way here, the next one needs no list for."""
    return one.kind in OF_ORDERS and one.action != "leave" and (one.confirmed or one.kind in BY_TWO_LOOKS)


def _found(one: Finding, done: Mapping[str, str]) -> events.Found:
    return events.Found(
        id=one.id, kind=one.kind, subject=one.subject, symbol=one.symbol, strategy=one.strategy, here=one.here,
        there=one.there, evidence=one.evidence, severity=one.severity, action=one.action, age_ms=one.age_ms,
        done=done.get(one.id, ""), holds=one.holds,
    )  # fmt: skip
