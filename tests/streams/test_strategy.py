"""The router as a user has it: FastStream's decorators, injection, middlewares and test broker; intents as answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from faststream import BaseMiddleware, Context, Depends, ExceptionMiddleware
from faststream.redis import RedisBroker, TestRedisBroker
from redis.asyncio import Redis

from streams import Cancel, Fill, Intents, OrderChanged, Place, Snapshot, Strategy, Tick, codec
from streams.clock import SystemClock
from streams.errors import BadIntent, UsageError
from streams.host import Host
from streams.identity import client_order_id
from streams.strategy import publish
from tests.flow import INFO, Bench, place
from tests.support import wait_until_async

FILL = Fill(
    event_id="e1", account="sim.main", at_ms=1, client_order_id="c", strategy="hedger", signal_id="s1",
    symbol="BTC/USDT", trade_id="t", side="buy", quantity=Decimal("0.10"), price=Decimal(5), executed_at_ms=3,
    status="filled", filled=Decimal("0.10"),
)  # fmt: skip


def hedge_of(fill: Fill | OrderChanged, leg: str = "") -> Place:
    """The other side, under an identity that follows from the event."""
    return Place(
        account=fill.account, strategy="hedger", signal_id=f"hedge-{fill.signal_id}", leg=leg,
        signal_time=datetime(2026, 1, 1, tzinfo=UTC), symbol=fill.symbol, side="sell", type="market",
        quantity=Decimal("0.1"), valid_until=datetime(2099, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def hedge_of_order(terms: Place) -> Place:
    """The same, of the terms of an order."""
    return msgspec.structs.replace(hedge_of(FILL), account=terms.account, symbol=terms.symbol)


async def test_a_handler_is_called_with_a_typed_event_and_its_answer_is_seen() -> None:
    """As FastStream's documentation tests its handlers."""
    app = Strategy("hedger")

    @app.on(Fill)
    async def hedge(fill: Fill) -> Place | None:
        assert isinstance(fill, Fill)
        return hedge_of(fill) if fill.quantity == Decimal("0.1") else None

    async with TestRedisBroker(app.broker()) as broker:
        await broker.publish(FILL, "fill")
        hedge.mock.assert_called_once_with(FILL)
        told = app.intents.mock.call_args.args[0]
        assert msgspec.convert(told, Place) == hedge_of(FILL)
        await broker.publish(msgspec.structs.replace(FILL, quantity=Decimal(2)), "fill")
        assert app.intents.mock.call_count == 1  # no answer, no message


async def test_it_is_a_router_for_a_broker_of_ones_own() -> None:
    """Beside whatever else the application does."""
    app = Strategy("hedger")

    @app.on(Fill)
    async def hedge(fill: Fill) -> None:
        assert fill == FILL

    broker = RedisBroker(logger=None)  # type: ignore[arg-type]
    broker.include_router(app)
    async with TestRedisBroker(broker) as tested:
        await tested.publish(msgspec.to_builtins(FILL), "fill")
        hedge.mock.assert_called_once()


async def test_dependencies_and_middlewares_work_as_in_faststream() -> None:
    """Both see the event before the handler does."""
    seen: list[str] = []

    class Watch(BaseMiddleware):
        async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
            seen.append("middleware")
            return await call_next(msg)

    def limit() -> Decimal:
        seen.append("dependency")
        return Decimal(7)

    app = Strategy("hedger", middlewares=[Watch])

    @app.on(Fill)
    async def hedge(fill: Fill, largest: Annotated[Decimal, Depends(limit)]) -> None:
        seen.append(f"{fill.signal_id} {largest}")

    async with TestRedisBroker(app.broker()) as broker:
        await broker.publish(FILL, "fill")
    assert seen == ["middleware", "dependency", "s1 7"]


async def test_context_and_the_test_brokers_publisher_mocks_work_as_in_faststream() -> None:
    """`Context` gives the message and whatever is global; a publisher above the handler gets its answer as well."""
    app, seen = Strategy("hedger"), list[Any]()

    @app.publisher("told")
    @app.on(Fill)
    async def hedge(
        fill: Fill,
        message: Annotated[Any, Context()],
        desk: Annotated[str, Context()],
        missing: Annotated[str, Context(default="-")],
    ) -> Place:
        seen.extend([message.message_id, message.correlation_id, desk, missing])
        return hedge_of(fill)

    @app.subscriber("told")
    async def hear(body: dict[str, Any]) -> None:
        seen.append(body["signal_id"])

    broker = app.broker()
    broker.context.set_global("desk", "eight")
    async with TestRedisBroker(broker):
        await broker.publish(FILL, "fill")
        app.intents.mock.assert_called_once()
        hear.mock.assert_called_once()
    assert seen[2:] == ["eight", "-", "hedge-s1"]


async def test_a_filter_of_ones_own_and_an_exception_middleware_work_as_in_faststream() -> None:
    """What a middleware deals with never reaches whoever delivers; what it does not, does."""
    dealt_with: list[str] = []
    middleware = ExceptionMiddleware()

    @middleware.add_handler(ValueError)
    async def note(error: ValueError) -> None:
        dealt_with.append(str(error))

    app = Strategy("hedger", middlewares=[middleware])

    @app.on(Fill)
    async def hedge(fill: Fill) -> None:
        raise ValueError("not today") if fill.side == "buy" else KeyError("nor tomorrow")

    async with TestRedisBroker(app.broker()) as broker:
        await broker.publish(FILL, "fill")
        with pytest.raises(KeyError):
            await broker.publish(msgspec.structs.replace(FILL, side="sell"), "fill")
    assert dealt_with == ["not today"]


async def test_plain_functions_may_be_handlers() -> None:
    """FastStream runs them in a thread."""
    app = Strategy("hedger")

    @app.on(Fill)
    def hedge(fill: Fill) -> list[Place | Cancel]:
        return [hedge_of(fill), Cancel(account=fill.account, client_order_id=fill.client_order_id)]

    async with TestRedisBroker(app.broker()) as broker:
        await broker.publish(FILL, "fill")
        [told] = app.intents.mock.call_args.args
        assert [one["kind"] for one in told] == ["place", "cancel"]


def test_an_event_nobody_knows_is_refused_when_it_is_asked_for() -> None:
    """Not when it never comes."""
    with pytest.raises(UsageError, match="A strategy is told of Fill, FillTakenBack, HoldingsChanged, OrderChanged"):
        Strategy("s").on(int)  # type: ignore[type-var]
    with pytest.raises(UsageError, match="at least a millisecond"):
        Strategy("s").every(0)


@pytest.mark.parametrize("name", ["", "x" * 129, "ü", " a", 7])
def test_a_name_that_no_intent_could_have_is_refused_when_the_strategy_is_made(name: Any) -> None:
    """The sentence says which names can be had; a blank inside is allowed, as in an intent."""
    with pytest.raises(UsageError, match=r"^A strategy's name is up to 128 printable ASCII signs, not"):
        Strategy(name)
    assert Strategy("mean reversion").name == "mean reversion"


def test_the_type_checker_asks_for_what_makes_an_order_the_same_order() -> None:
    """Mypy fails where one of these ignores is not needed: identity is asked for, and handlers take their event."""
    app = Strategy("typed")

    def wrong() -> None:
        Place(  # type: ignore[call-arg]
            account="sim.main", strategy="s", symbol="BTC/USDT", side="buy", type="market", quantity=Decimal(1)
        )

        @app.on(OrderChanged)  # type: ignore[arg-type]
        async def of_another_event(fill: Fill) -> None: ...

        @app.on(Fill)  # type: ignore[type-var]
        async def answers_a_number(fill: Fill) -> int:
            return int(fill.quantity)

    assert callable(wrong)


class Running:
    """A strategy at work on the real server, one account."""

    def __init__(self, bench: Bench, url: str) -> None:
        self.bench, self.url = bench, url
        self.host: Host
        self.task: asyncio.Task[None] | None = None

    async def start(self, app: Strategy) -> None:
        """Begin, and wait until it reads."""
        self.host = Host(app, self.url, [self.bench.account], SystemClock())
        await self.host.broker.start()
        self.task = asyncio.create_task(self.host.run())
        await wait_until_async(lambda: self.host.figures(self.bench.account)["snapshots"])

    async def stop(self) -> None:
        """End in good order."""
        if self.task is None:
            return
        task, self.task = self.task, None
        self.host.stop()
        try:
            await task
        finally:
            await self.host.broker.stop()
            await self.host.close()

    async def intents(self) -> list[Any]:
        """What the gateways will read."""
        rows: Any = await self.bench.redis.xrange(self.bench.keys.intents)
        return [codec.decode_intent(fields[b"data"]) for _, fields in rows]


@pytest.fixture
async def running(redis: Redis, redis_url: str, account: str) -> AsyncIterator[Running]:
    """An account with an open gate."""
    made = Running(await Bench(redis, account).open(), redis_url)
    yield made
    await made.stop()


async def test_an_answer_becomes_an_order_once_however_often_the_event_is_handled(running: Running) -> None:
    """The second handling finds the order of the first."""
    app = Strategy("test")
    handled: list[OrderChanged] = []

    @app.on(OrderChanged)
    async def follow(order: OrderChanged) -> Place | None:
        if order.signal_id != "s1":
            return None
        handled.append(order)
        if len(handled) < 3:
            await app.intents.publish(hedge_of(order))  # published from within, then it fails
            raise ValueError("after the deed")
        return hedge_of(order)

    await running.start(app)
    await running.bench.publish(first := place(running.bench.account))
    await wait_until_async(lambda: running.host.figures(running.bench.account)["handled"])
    await running.stop()
    assert [one.redelivered for one in handled] == [False, True, True]
    assert await running.intents() == [first, hedge_of(handled[0])]


async def test_all_of_it_holds_in_a_strategy_at_work_and_not_in_the_test_broker_alone(
    running: Running, redis: Redis
) -> None:
    """Dependencies that are closed again, context, middlewares, a second publisher, a subscriber of another channel."""
    seen: list[str] = []

    class Watch(BaseMiddleware):
        async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
            seen.append(f"middleware {msg.message_id.partition(':')[0]}")
            return await call_next(msg)

    async def book() -> AsyncIterator[str]:
        seen.append("opened")
        yield "book"
        seen.append("closed")

    app = Strategy("test", middlewares=[Watch], dependencies=[Depends(lambda: seen.append("of all"))])

    @app.publisher(f"told.{running.bench.account}")
    @app.on(OrderChanged)
    async def follow(
        order: OrderChanged, held: Annotated[str, Depends(book)], message: Annotated[Any, Context()]
    ) -> Place | None:
        seen.append(f"{held} {message.message_id == order.event_id}")
        return hedge_of(order) if order.signal_id == "s1" else None

    @app.subscriber(f"orders.{running.bench.account}")
    async def plain(text: str) -> None:
        seen.append(text)

    listening = redis.pubsub()
    await listening.subscribe(f"told.{running.bench.account}")
    await running.start(app)
    await running.bench.publish(first := place(running.bench.account))
    await wait_until_async(lambda: running.host.figures(running.bench.account)["handled"])
    handled = seen[:5]
    assert handled[0].startswith("middleware")
    assert handled[1:] == ["of all", "opened", "book True", "closed"]
    assert await running.intents() == [first, hedge_of_order(first)]
    told: list[Any] = []

    async def heard() -> bool:
        if (message := await listening.get_message(ignore_subscribe_messages=True)) is not None:
            told.append(message)
        return bool(told)

    await wait_until_async(heard)
    assert b"hedge-s1" in told[0]["data"]
    await running.host.broker.publish("from elsewhere", f"orders.{running.bench.account}")
    await wait_until_async(lambda: "from elsewhere" in seen)
    await listening.aclose()


async def test_a_handler_may_use_the_producer_itself(running: Running) -> None:
    """As a parameter, with the receipt as an answer."""
    app = Strategy("test")
    receipts: list[Any] = []

    @app.on(Snapshot)
    async def begin(snapshot: Snapshot, intents: Intents) -> None:
        assert snapshot.orders == ()
        receipts.append(await intents.place(place(snapshot.account)))

    await running.start(app)
    await wait_until_async(lambda: receipts)
    assert receipts[0].client_order_id == client_order_id(place(running.bench.account), INFO.id_rule)
    assert len(await running.intents()) == 1


async def test_a_tick_comes_at_every_multiple_of_its_period(running: Running) -> None:
    """So its moment can be part of a signal id."""
    app = Strategy("test")
    ticks: list[Tick] = []

    @app.every(0.02)
    async def look(tick: Tick) -> None:
        ticks.append(tick)

    await running.start(app)
    await wait_until_async(lambda: len(ticks) >= 3)
    moments = [one.due_ms for one in ticks]
    assert all(moment % 20 == 0 for moment in moments)
    assert moments == sorted(set(moments))
    assert {one.account for one in ticks} == {running.bench.account}


async def test_an_answer_that_is_no_intent_is_refused_with_a_sentence(running: Running) -> None:
    """It goes to quarantine with the event that brought it about."""
    app = Strategy("test")

    @app.on(OrderChanged)
    async def follow(order: OrderChanged):
        return order.signal_id

    await running.start(app)
    await running.bench.publish(place(running.bench.account))
    await wait_until_async(lambda: running.host.figures(running.bench.account)["quarantined"])
    rows: Any = await running.bench.redis.xrange(running.bench.keys.quarantine)
    [(_, kept)] = rows
    assert b"A handler answers with Place, Cancel or Amend" in kept[b"data"]


async def test_intents_of_several_accounts_are_published_each_to_its_own(redis: Redis, account: str) -> None:
    """One batch per account."""
    from streams.producer import IntentProducer

    first, second = await Bench(redis, account).open(), await Bench(redis, f"{account}b").open()
    intents = [place(first.account, "a"), place(second.account, "b"), place(first.account, "c")]
    receipts = await publish(IntentProducer(redis), intents, "strategy:me")
    assert len(receipts) == 3
    assert (await redis.xlen(first.keys.intents), await redis.xlen(second.keys.intents)) == (2, 1)
    with pytest.raises(BadIntent):
        await publish(IntentProducer(redis), [1], "strategy:me")


async def test_a_strategys_cancel_says_whose_it_is(running: Running) -> None:
    """In the entry that asks for it; one that names somebody keeps that name."""
    app = Strategy("hedger")

    @app.on(OrderChanged)
    async def leave(order: OrderChanged) -> list[Cancel]:
        named = Cancel(account=order.account, client_order_id=order.client_order_id, who="alice")
        return [msgspec.structs.replace(named, who=None), named]

    await running.start(app)
    await running.bench.publish(place(running.bench.account, strategy="hedger"))
    await wait_until_async(lambda: _length(running, 3))
    entries = await running.bench.read_intents()
    assert [msgspec.json.decode(one.fields[b"data"])["who"] for one in entries[1:]] == ["strategy:hedger", "alice"]


async def _length(running: Running, count: int) -> bool:
    return bool(await running.bench.redis.xlen(running.bench.keys.intents) == count)
