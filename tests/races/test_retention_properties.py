"""Retention whatever the age, the setting, the month and the restarts: an identity is sent once in its life."""

import asyncio
import secrets
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from consumers.retention import Retention
from streams import codec
from streams.errors import IntentSpent
from streams.keys import GATEWAYS, LEDGERS
from streams.plans import Claimed
from streams.producer import IntentProducer, publish_item
from streams.reader import Entry
from streams.record import NEW_STATE_TEXT
from streams.schemas import TERMINAL, Cancel, Execution, NotSent
from streams.verify import verify
from tests.flow import INFO, LEASE_MS, LOOK_MS, Bench, execution, place

DAY_MS = 86_400_000
MONTHS = ("2026-10", "2026-11", "2026-12", "2027-01")

_steps = st.one_of(
    st.tuples(st.just("publish"), st.booleans()),  # by a producer that remembers, or by one that was restored
    st.tuples(st.just("bare"), st.booleans()),
    st.tuples(st.just("cancel"), st.just(False)),
    st.tuples(st.just("work"), st.booleans()),  # the venue takes it, or it is never sent
    st.tuples(st.just("fill"), st.booleans()),
    st.tuples(st.just("age"), st.integers(0, 90)),  # days
    st.tuples(st.just("forget"), st.integers(0, 60)),  # days of retention
    st.tuples(st.just("month"), st.sampled_from(MONTHS)),
    st.tuples(st.just("restart"), st.just(False)),
)


class Life:
    """One identity, through everything a step can do to it."""

    def __init__(self, redis: Redis, account: str) -> None:
        self.bench = Bench(redis, account)
        self.terms = place(account)
        self.name = publish_item(self.terms, INFO).client_order_id
        self.producer = IntentProducer(redis)
        self.sent = 0  # requests that reached the venue
        self.was_forgotten, self.cancelled = False, False

    async def step(self, kind: str, how: Any) -> None:
        """Do one step."""
        await getattr(self, kind)(how)

    async def publish(self, remembering: bool) -> None:
        """Publish it again."""
        producer = self.producer if remembering else IntentProducer(self.bench.redis)
        [answer] = await producer.publish([self.terms])
        if self.was_forgotten and not remembering:
            assert isinstance(answer, IntentSpent)

    async def bare(self, other: bool) -> None:
        """Add it by XADD; with `other` the bytes of a webhook that spells it differently."""
        data = publish_item(self.terms, INFO).data
        await self.bench.redis.xadd(self.bench.keys.intents, {"data": data.replace(",", ", ") if other else data})

    async def cancel(self, _: bool) -> None:
        """Wish it gone."""
        wish = Cancel(account=self.bench.account, client_order_id=self.name)
        await self.bench.scripts.publish([publish_item(wish, INFO)], secrets.token_hex(4), LOOK_MS)

    async def work(self, reaches: bool) -> None:
        """Claim whatever a gateway is given, old entries too; and settle it."""
        for entry in await self._entries():
            item = self.bench.claim_item(entry.id, self.terms)
            if b'"kind":"cancel"' in entry.fields[b"data"].replace(b" ", b""):
                digest = codec.birth_digest(item.client_order_id, "", NEW_STATE_TEXT)
                item = self.bench.claim_item(entry.id, self.terms, command="cancel", digest=digest)
            [verdict] = await self.bench.scripts.claim([item], "gateway.0", 5_000, LOOK_MS)
            if not isinstance(verdict, Claimed):
                continue
            if item.command == "place" and reaches:
                self.sent += 1
                await self._say(X="NEW", x="NEW", l="0", z="0", N=None, n="0")
            elif item.command == "place":
                await self.bench.say(order=verdict.order, outcome=NotSent("late"))
            elif self.sent:
                self.cancelled = True
                await self._say(X="CANCELED", x="CANCELED", l="0", z="0", N=None, n="0")
            await self._fold()

    async def fill(self, twice: bool) -> None:
        """The venue fills it and says so; the same words come again after it was forgotten."""
        if not self.sent or self.cancelled:
            return
        for _ in range(2 if twice else 1):
            await self._say(X="FILLED", l="1", z="1")
        await self._fold()

    async def age(self, days: int) -> None:
        """Let time pass for what has ended."""
        keys = self.bench.keys
        score = await self.bench.redis.zscore(keys.ended, self.name)
        if score is not None:
            await self.bench.redis.zadd(keys.ended, {self.name: score - days * DAY_MS})

    async def forget(self, days: int) -> None:
        """A round of retention; what is younger stays."""
        score = await self.bench.redis.zscore(self.bench.keys.ended, self.name)
        retention = Retention(self.bench.redis, self.bench.keys, days * DAY_MS)
        now_ms = await self.bench.store.now_ms()
        await retention.forget_old()
        if retention.forgotten:
            assert score is not None
            assert await self.bench.store.now_ms() - score >= days * DAY_MS
            self.was_forgotten = True
        else:
            assert score is None or now_ms - score < days * DAY_MS or await self._incomplete()

    async def month(self, month: str) -> None:
        """It is forgotten in whatever month the server's clock shows."""
        [order] = await self.bench.store.orders([self.name])
        ended = order is not None and order.status in TERMINAL and not order.live
        if ended and await self.bench.scripts.forget(self.name, order, "BTCUSDT", 0, month):
            self.was_forgotten = True

    async def restart(self, _: bool) -> None:
        """All processes begin anew, and the server has another history."""
        await self.bench.redis.hset(self.bench.keys.control, "history", "of another run")
        again = Bench(self.bench.redis, self.bench.account)
        await again.scripts.open_gate((await again.scripts.gate()).history)
        self.bench, self.producer = again, IntentProducer(again.redis)

    async def check(self) -> None:
        """Sent once at most; the fill counted once; nothing left that nobody looks after; journal equals state."""
        await self.work(True)
        assert self.sent <= 1
        applied = await self._applied()
        assert len(applied) == len(set(applied)) <= 1
        position = (await self.bench.store.positions()).get("BTC/USDT")
        assert (position.quantity if position else Decimal(0)) == len(applied)
        if await self.bench.redis.exists(self.bench.keys.evidence):
            assert await self.bench.pending(self.bench.keys.evidence, LEDGERS) == 0
        assert (await verify(self.bench.redis, self.bench.keys)).good

    async def _applied(self) -> list[str]:
        changes: list[Any] = await self.bench.journal()
        facts = [fact for one in changes for fact in getattr(one, "facts", ())]
        return [fact.execution_id for fact in facts if isinstance(fact, Execution)]

    async def _incomplete(self) -> bool:
        [order] = await self.bench.store.orders([self.name])
        return order is not None and order.live

    async def _say(self, **words: Any) -> None:
        trade_id = 5 if words["X"] == "FILLED" else -1
        at_ms = {"NEW": 1, "FILLED": 2, "CANCELED": 3}[words["X"]] + 1_700_000_000_000
        frame = execution(7, trade_id, self.name, **words, T=at_ms, E=at_ms)
        await self.bench.say(frame, form=STREAM_FORMAT)

    async def _entries(self) -> list[Entry]:
        await self.bench.read_intents("gateway.0")
        keys = self.bench.keys
        _, rows, _ = await self.bench.redis.xautoclaim(keys.intents, GATEWAYS, "gateway.0", 0, count=100)
        return [Entry(row[0].decode(), row[1], redelivered=True) for row in rows]

    async def _fold(self) -> None:
        chosen = LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=Rules(True, 30_000))
        ledger = Ledger(
            redis=self.bench.redis, reader=self.bench.ledger_reader(), keys=self.bench.keys, decode=decode,
            settings=chosen, clock=self.bench.clock,
        )  # fmt: skip
        await ledger.run(burst=True)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One loop for all examples."""
    with asyncio.Runner() as runner:
        yield runner


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(_steps, min_size=4, max_size=25), fates=st.booleans())
def test_an_identity_is_sent_once_whatever_its_age_and_however_it_comes_again(
    loop: asyncio.Runner, redis_url: str, steps: list[tuple[str, Any]], fates: bool
) -> None:
    """Published, bare and cancelled, aged, forgotten in any month, restarted, in any order: never a second order."""

    async def live() -> None:
        redis: Redis = Redis.from_url(redis_url, decode_responses=False, retry=Retry(NoBackoff(), 0))
        life = Life(redis, f"sim.r{secrets.token_hex(6)}")
        try:
            await life.bench.open()
            if fates:  # half of the examples begin with an order that ended, the interesting past
                for step in (("publish", True), ("work", True), ("fill", False)):
                    await life.step(*step)
            for kind, how in steps:
                await life.step(kind, how)
            await life.check()
        finally:
            await redis.aclose()

    loop.run(live())


def test_every_way_back_after_retention_is_refused(loop: asyncio.Runner, redis_url: str) -> None:
    """One life in full: ended, aged, forgotten, then every way of coming again."""

    async def live() -> None:
        redis: Redis = Redis.from_url(redis_url, decode_responses=False, retry=Retry(NoBackoff(), 0))
        life = Life(redis, f"sim.r{secrets.token_hex(6)}")
        try:
            await life.bench.open()
            first = (("publish", True), ("work", True), ("fill", True), ("forget", 30), ("age", 31), ("forget", 30))
            for step in first:
                await life.step(*step)
            assert life.was_forgotten
            again = (("publish", False), ("publish", True), ("bare", False), ("bare", True), ("work", True))
            for step in (*again, ("restart", False), *again, ("cancel", False), *again):
                await life.step(*step)
            await life.check()
            assert life.sent == 1
            assert await life.bench.store.orders([life.name]) == [None]
        finally:
            await redis.aclose()

    loop.run(live())
