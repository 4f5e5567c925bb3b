"""Watches one account and does what its rules say: a FastStream router on `events`, fed like every strategy.

What is decided is in `watching` and pure; here it is fed, and done. Doing it twice changes nothing: a switch that is
on stays as it is, a cancel finds its order cancelled.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, assert_never

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from consumers.alarm import Alarm
from consumers.clearing import Clearing, Orphans
from consumers.watching import Firing, Sample, Watched, heard, judged, sampled
from streams.clock import Clock
from streams.errors import StoreUnreachable
from streams.events import FORMAT_VERSION, JournalEntry
from streams.host import Host
from streams.keys import AccountKeys
from streams.notices import Journal, Snapshot, Tick
from streams.rules import Rules
from streams.scripts import Scripts
from streams.store import Store
from streams.strategy import Strategy
from streams.tasks import end

log = logging.getLogger("fillonce.rules")

NAME = "fillonce-rules"  # of its place in the journal
SAMPLE_S = 2.0
CLEAR_MS = 3_600_000
RETRY_MS = 1_000


class Guard:
    """Keeps the rules of one account.

    Attributes:
        fired: rules that fired since the start.
        watched: what is known so far.
    """

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, rules: Rules, clock: Clock, resolver: str = "resolver.0",
        sample_s: float = SAMPLE_S, orphans: Callable[[str], Callable[[], Awaitable[Orphans]]] | None = None,
    ) -> None:  # fmt: skip
        """Bind it.

        Args:
            redis: a pool.
            keys: of the account.
            rules: of the account.
            clock: for pauses.
            resolver: whose heartbeat counts failed look-ups and comparisons.
            sample_s: between two samples.
            orphans: gives what looks for orders without a record and cancels them in somebody's name.
        """
        self._orphans = orphans
        self.fired, self.watched = 0, Watched()
        self._redis, self._keys, self._rules, self._clock, self._resolver = redis, keys, rules, clock, resolver
        self._scripts, self._store, self._alarm = Scripts(redis, keys), Store(redis, keys), Alarm(rules)
        self._clearing: asyncio.Task[None] | None = None
        self._sample_s = sample_s

    async def run(self, url: str, timeout_ms: int) -> None:
        """Watch until cancelled; what ends it is said, and it begins again."""
        while True:
            host = Host(self._strategy(), url, [self._keys.account], self._clock, timeout_ms)
            try:
                await host.broker.start()
                await host.run()
            except (StoreUnreachable, RedisError, OSError) as error:
                log.warning("the rules begin again: %s", error if isinstance(error, StoreUnreachable) else type(error))
            except Exception as error:
                log.exception("the rules begin again after %s", type(error).__name__)
            finally:
                await host.broker.stop()
                await host.close()
                await end([self._clearing] if self._clearing else [])
            await self._clock.sleep_ms(RETRY_MS)

    def figures(self) -> dict[str, int | str]:
        """What was counted since the start, and which rules' figures are too large now."""
        firing = ", ".join(sorted(self.watched.firing))
        return {"rules_fired": self.fired, **({"firing": firing} if firing else {})}

    def _strategy(self) -> Strategy:
        strategy = Strategy(NAME, accounts=[self._keys.account])

        @strategy.on(Snapshot)
        async def begin(_: Snapshot) -> None:
            await self._go_on_clearing()

        @strategy.on(Journal)
        async def hear(entry: Journal) -> None:
            told = JournalEntry(v=FORMAT_VERSION, script=entry.script, at_ms=entry.at_ms, changes=entry.changes)
            await self._judge(heard(self.watched, told))

        @strategy.every(self._sample_s)
        async def look(_: Tick) -> None:
            await self._judge(sampled(self.watched, await self._sample()))

        return strategy

    async def _judge(self, watched: Watched) -> None:
        after, fired = judged(watched, self._rules, self._keys.account)
        for one in fired:
            await self._do(one)
        self.watched = after  # only now: what was not done is done when the entry comes again
        self.fired += len(fired)

    async def _do(self, firing: Firing) -> None:
        # First what protects, then who is told.
        match firing.action:
            case "off" | "alert":
                pass
            case "reducing":
                await self._switch("reduce", firing)
            case "halted":
                await self._switch("halt", firing)
            case "halted_and_cancel":
                await self._switch("halt", firing)
                await self._scripts.clear(firing.sentence, _who(firing.rule), "", secrets.token_urlsafe(12))
                self._clear(_who(firing.rule))
            case _:
                assert_never(firing.action)
        await self._alarm.tell(firing)

    async def _switch(self, action: Any, firing: Firing) -> None:
        """Turn the account's switch, unless it is on: a person's reason stays."""
        if not await self._control(action):
            await self._scripts.halt(action, firing.sentence, _who(firing.rule))

    async def _go_on_clearing(self) -> None:
        """Go on where the process before this one was cancelling when it ended."""
        stored = await self._control("halt")
        reason = msgspec.json.decode(stored, type=str) if stored else ""
        for name, rule in self._rules.by_name().items():
            if rule.action == "halted_and_cancel" and reason.startswith(f"rule {name}:"):
                self._clear(_who(name))

    def _clear(self, who: str) -> None:
        if self._clearing is None or self._clearing.done():
            self._clearing = asyncio.create_task(self._cancel_all(who))

    async def _cancel_all(self, who: str) -> None:
        orphans = self._orphans(who) if self._orphans else None
        clearing = Clearing(self._redis, self._keys.account, "", self._clock, who=who, orphans=orphans)
        done = await clearing.run(CLEAR_MS, lambda left: log.info("%s: %s", self._keys.account, left.sentence))
        if not done:
            log.error("%s: not all could be cancelled: %s", self._keys.account, clearing.left.sentence)
        if clearing.left.orphans:
            log.error("%s: left alone at the venue: %s", self._keys.account, ", ".join(clearing.left.orphans))

    async def _sample(self) -> Sample:
        try:
            backlog = (await self._store.backlog())["evidence"]
            names = ("reconciled", "stream_until", "stream_at", "stream_lost")
            control: Any = await self._redis.hmget(self._keys.control, names)
            beat: Any = await self._redis.hget(self._keys.roles, self._resolver)
            now_ms = await self._store.now_ms()
        except (RedisError, OSError) as error:
            raise StoreUnreachable(f"Redis cannot be asked ({type(error).__name__}).") from error
        told = msgspec.json.decode(beat, type=dict[str, Any]) if beat else {}
        return Sample(
            at_ms=now_ms,
            waiting=backlog["lag"] + backlog["pending"],
            failed=int(told.get("could_not_ask", 0)),
            since=int(told.get("started_ms", 0)),
            reconcile_failures=int(told.get("reconcile_failures", 0)),
            reconciled_at_ms=int(msgspec.json.decode(control[0])["at_ms"]) if control[0] else None,
            heard_at_ms=_heard_at_ms(control[1:], now_ms),
        )

    async def _control(self, name: str) -> bytes | None:
        try:
            stored: bytes | None = await self._redis.hget(self._keys.control, name)  # type: ignore[assignment]  # answers in bytes
        except (RedisError, OSError) as error:
            raise StoreUnreachable(f"Redis cannot be asked ({type(error).__name__}).") from error
        return stored


def _heard_at_ms(control: Any, now_ms: int) -> int | None:
    """When somebody vouched for the stream last; now, where somebody does."""
    until, at, lost = control
    if until is None:
        return None
    if lost is not None:
        return int(at)
    return min(int(until), now_ms)


def _who(rule: str) -> str:
    return f"rule:{rule}"
