"""The ways in which an account and its venue come apart: prepared while the pipeline runs, broken while it does not."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from adapters.venue import Window
from streams.codec import encode, encode_text
from streams.policy import Kind
from streams.record import NEW_STATE
from streams.schemas import Command, Correction, Evidence, Inferred, Order, Place, Unknown
from tests.flow import Bench
from tests.pipeline import Pipeline

Prepare = Callable[[Pipeline], Awaitable[str]]
Break = Callable[[Pipeline, str], Awaitable[object]]
HIDDEN_MS = 600_000  # until the test lets it be seen


class Way(Struct, frozen=True):
    """One way.

    Attributes:
        name: of it.
        kind: what a look finds first; None where it finds nothing by itself.
        margin_kind: likewise with margin, where that is another.
        prepare: makes what will be broken, and names it.
        break_it: breaks it; nobody listens, and nothing is sent.
        doubled: how many intents have more than one order afterwards, which nothing can undo.
        strangers: how many executions stay nobody's here: positions and balances have what they moved, no order has.
        fact: what the journal tells of it, where that is a conclusion.
        then: what happens at the venue once the pipeline runs again.
    """

    name: str
    kind: Kind | None
    prepare: Prepare
    break_it: Break
    margin_kind: Kind | None = None
    doubled: int = 0
    strangers: int = 0
    fact: type[Correction | Inferred] | None = None
    then: Callable[[Pipeline], Awaitable[None]] | None = None


def _resting(price: int) -> Prepare:
    async def prepare(pipeline: Pipeline) -> str:
        [name] = await pipeline.place(pipeline.terms(price=Decimal(price)))
        await pipeline.status(name, "open")
        return name

    return prepare


def _filled(quantity: str, price: int) -> Prepare:
    async def prepare(pipeline: Pipeline) -> str:
        [name] = await pipeline.place(pipeline.terms(price=Decimal(price), quantity=Decimal(quantity)))
        await pipeline.status(name, "open")
        await pipeline.house("SELL", quantity, price)
        await pipeline.status(name, "filled")
        return name

    return prepare


async def _nothing(_: Pipeline) -> str:
    return ""


async def strange(pipeline: Pipeline, name: str, **changes: Any) -> None:
    """Somebody else places an order under the account's key."""
    terms = Place(**{**msgspec.structs.asdict(pipeline.terms()), **changes})
    order = Order(client_order_id=name, terms=terms, status="created", state=NEW_STATE, digest="")
    now_ms = pipeline.server_clock.now_ms()
    await (await pipeline.venue()).submit(order, Window(now_ms, now_ms + 5_000))


async def _by_hand(pipeline: Pipeline, name: str) -> None:
    await strange(pipeline, name or "manual-1", price=Decimal(80))


async def _as_ours(pipeline: Pipeline, _: str) -> None:
    """An order under our prefix that no record here knows."""
    await strange(pipeline, "fo-" + "a" * 22, price=Decimal(82))


async def _as_ours_and_filled(pipeline: Pipeline, _: str) -> None:
    await strange(pipeline, "fo-" + "b" * 22, price=Decimal(102), quantity=Decimal("0.2"))
    await pipeline.house("SELL", "0.2", 102)


def _stranger_buys(name: str, price: int, quantity: str) -> Break:
    """Somebody else's order that has traded and ended: history, which no look takes for an orphan."""

    async def break_it(pipeline: Pipeline, _: str) -> None:
        await strange(pipeline, name, price=Decimal(price), quantity=Decimal(quantity))
        await pipeline.house("SELL", quantity, price)

    return break_it


async def _liquidate(pipeline: Pipeline, _: str) -> None:
    """The venue closes everything that is held, and its stream is heard by nobody."""
    await pipeline.control.liquidate(pipeline.book, pipeline.venue_symbol, Decimal(90), told=False)


async def _cancel_there(pipeline: Pipeline, name: str) -> None:
    now_ms = pipeline.server_clock.now_ms()
    await (await pipeline.venue()).cancel(await pipeline.order(name), Window(now_ms, now_ms + 5_000))


async def _lost_but_there(pipeline: Pipeline, _: str) -> None:
    """Published, cancelled before it was sent, and at the venue all the same."""
    [name] = await pipeline.place(pipeline.terms(price=Decimal(81)))
    await pipeline.publish_cancel(name)
    await strange(pipeline, name, price=Decimal(81))


async def _lost_on_its_way(pipeline: Pipeline, _: str) -> None:
    """Claimed, and then nothing was sent: unknown here, and the venue never heard of it."""
    bench, terms = Bench(pipeline.redis, pipeline.account), pipeline.terms(price=Decimal(83))
    [name] = await pipeline.place(terms)
    [entry] = [one for one in await bench.read_intents("gateway.9") if one.fields[b"data"] == encode(terms)]
    sent = encode_text({"price": "83", "quantity": "1"})
    item = bench.claim_item(entry.id, terms, sent=sent, strategy=terms.strategy, symbol=terms.symbol)
    item = replace(item, client_order_id=name, reduces=True)  # nobody vouches for the stream
    await bench.scripts.claim([item], "gateway.9", -1, 15_000)
    lost = Command(client_order_id=name, token=item.token, outcome=Unknown("cut"))
    said = encode(Evidence(source="answer", received_at_ns=1, command=lost))
    await bench.scripts.settle(
        client_order_id=name, entry=entry.id, token=item.token, command="place", evidence=said, raw=b""
    )  # fmt: skip
    await pipeline.status(name, "unknown")


async def _bust(pipeline: Pipeline, name: str) -> None:
    trade = next(one for one in await _trades(pipeline) if one["client_order_id"] == name)
    await pipeline.control.bust(pipeline.book, pipeline.venue_symbol, trade["trade_id"])


async def _hide(pipeline: Pipeline, name: str) -> None:
    """It trades, and the venue counts it long before it lists it."""
    await pipeline.house("SELL", "0.4", 101)
    trade = next(one for one in await _trades(pipeline) if one["client_order_id"] == name)
    await pipeline.control.hide(pipeline.book, pipeline.venue_symbol, trade["trade_id"], HIDDEN_MS)


async def _show(pipeline: Pipeline) -> None:
    """The venue lists what it traded, after it was inferred."""

    async def inferred() -> bool:
        return any(order.state.provisional for order in await pipeline.store.all_orders())

    await pipeline.until(inferred, 30)
    for trade in await _trades(pipeline):
        await pipeline.control.hide(pipeline.book, pipeline.venue_symbol, trade["trade_id"], 0)


async def _trade_unheard(pipeline: Pipeline, _: str) -> None:
    await pipeline.house("SELL", "0.4", 100)


async def _move_base(pipeline: Pipeline, _: str) -> None:
    await pipeline.control.transfer(pipeline.book, pipeline.base, Decimal(5), told=False)


async def _move_cash(pipeline: Pipeline, _: str) -> None:
    await pipeline.control.transfer(pipeline.book, "USDT", Decimal(-7), told=False)


async def _change_history(pipeline: Pipeline, _: str) -> None:
    await pipeline.redis.hset(pipeline.keys.control, "history", "of a server that is gone")


async def _trades(pipeline: Pipeline) -> Sequence[dict[str, Any]]:
    books = await pipeline.control.books(pipeline.book)
    found: Sequence[dict[str, Any]] = books["accounts"][pipeline.book]["trades"]
    return found


async def _bid(pipeline: Pipeline) -> str:
    [name] = await pipeline.place(pipeline.terms(price=Decimal(101), quantity=Decimal("0.4")))
    await pipeline.status(name, "open")
    return name


# In this order: each trade meets the best bid, so what trades while others rest bids more than they do.
_BOTH: Sequence[Way] = (
    Way("busted", "busted", _filled("0.5", 99), _bust, fact=Correction),
    Way("double", "double", _filled("0.3", 98), _by_hand, doubled=1),
    Way("orphan", "orphan", _nothing, _as_ours),
    Way("filled orphan", "orphan", _nothing, _as_ours_and_filled),
    Way("foreign", "orphan", _nothing, _by_hand),
    Way("ghost", "ghost", _nothing, _lost_on_its_way),
    Way("zombie", None, _nothing, _lost_but_there),
    Way("status drift", "status_drift", _resting(91), _cancel_there),
    Way("balance drift", "balance_drift", _nothing, _move_cash),
    Way("history", None, _nothing, _change_history),
    Way(
        # Of spot a holding was there before, so that what is not explained is how far it has moved.
        "unexplained", "position_drift", _nothing, _stranger_buys("manual-2", 103, "0.3"),
        margin_kind="unexplained", strangers=1,
    ),
    Way("hidden", "stale_fill", _bid, _hide, fact=Inferred, then=_show),
    Way("stale fill", "stale_fill", _resting(100), _trade_unheard),
)  # fmt: skip
WAYS: Sequence[Way] = (Way("position drift", "position_drift", _nothing, _move_base), *_BOTH)
ON_MARGIN: Sequence[Way] = (
    Way("liquidation", "stale_fill", _filled("0.6", 96), _liquidate),
    Way("position drift", "position_drift", _filled("0.7", 97), _stranger_buys("manual-3", 104, "0.2"), strangers=1),
    *_BOTH,
)
