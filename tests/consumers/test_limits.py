"""Specification of consumers/limits.py, and of the claims that are judged by it on a real server."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from redis.asyncio import Redis

from consumers.adoption import import_item
from consumers.judge import Judge
from consumers.limits import Book, Mark, Rate, Room, claimed, next_rate, reduces, refusal
from streams import events
from streams.limits import Limits, StrategyLimits
from streams.marks import publish_mark
from streams.money import ZERO
from streams.plans import Claimed, Stale
from streams.schemas import Amend, Place
from tests.flow import INSTRUMENTS, Bench, place
from tests.pipeline import Pipeline
from tests.resends import opened

ONE, TEN = Decimal(1), Decimal(10)
NOW = 1_700_000_000_500
SYMBOL = "BTC/USDT"
EMPTY = Book(exposure="", now_ms=NOW)


def terms(**changes: Any) -> Place:
    """A buy of 1 BTC at 50,000."""
    return place("sim.main", **changes)


def said(limits: Limits, book: Book = EMPTY, **changes: Any) -> str:
    """The refusal of an order."""
    order = terms(**changes)
    return refusal(order, order.quantity, order.price, book, limits)


def holding(quantity: int, *sent: Room) -> Book:
    """A book with a position and orders that were sent."""
    return replace(EMPTY, positions={(SYMBOL, "net"): Decimal(quantity)}, sent=sent)


def room(side: str, left: int, strategy: str = "test") -> Room:
    """An order that was sent."""
    return Room(strategy, SYMBOL, "net", side, Decimal(left))


@pytest.mark.parametrize(
    ("limits", "book", "name"),
    [
        (Limits(quantity_max={"*": Decimal("0.5")}), EMPTY, "quantity_max of BTC/USDT is 0.5"),
        (Limits(notional_max={SYMBOL: Decimal(49_999)}), EMPTY, "notional_max of BTC/USDT is 49999"),
        (Limits(position_max={SYMBOL: TEN}), holding(7, room("buy", 3)), "position_max of BTC/USDT is 10"),
        (Limits(open_orders_max=1), holding(0, room("sell", 1, "other")), "open_orders_max is 1"),
        (Limits(open_orders_strategy_max=1), holding(0, room("sell", 1)), "open_orders_strategy_max is 1"),
        (Limits(orders_per_second_max=2), replace(EMPTY, rates={"test": Rate(NOW // 1000, 2)}), "per_second_max is 2"),
        (Limits(price_collar=Decimal("0.1")), replace(EMPTY, marks={SYMBOL: Mark(Decimal(40_000), NOW)}),
         "price_collar is 0.1"),
        (Limits(price_collar=Decimal("0.1")), EMPTY, "no mark"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_limit_and_its_value(limits: Limits, book: Book, name: str) -> None:
    """One sentence; the same order without the limit goes out."""
    assert name in said(limits, book)
    assert said(Limits(), book) == ""


@pytest.mark.parametrize(
    ("limits", "book"),
    [
        (Limits(quantity_max={SYMBOL: ONE, "*": Decimal("0.1")}), EMPTY),
        (Limits(notional_max={"*": Decimal(50_000)}), EMPTY),
        (Limits(position_max={SYMBOL: TEN}), holding(7, room("buy", 2), room("sell", 9))),
        (Limits(open_orders_strategy_max=1), holding(0, room("sell", 1, "other"))),
        (Limits(orders_per_second_max=2), replace(EMPTY, rates={"test": Rate(NOW // 1000 - 1, 2)})),
        (Limits(price_collar=Decimal("0.1")), replace(EMPTY, marks={SYMBOL: Mark(Decimal(50_000), NOW)})),
    ],
)
def test_an_order_at_its_limit_goes_out(limits: Limits, book: Book) -> None:
    """A limit is the largest value that is allowed."""
    assert said(limits, book) == ""


@pytest.mark.parametrize(
    ("own", "book", "sentence"),
    [
        (StrategyLimits(quantity_max={"*": Decimal("0.5")}), EMPTY, "strategy test: quantity_max of BTC/USDT is 0.5"),
        (StrategyLimits(notional_max={SYMBOL: ONE}), EMPTY, "strategy test: notional_max of BTC/USDT is 1"),
        (StrategyLimits(open_orders_max=1), holding(0, room("sell", 1)), "test: open_orders_strategy_max is 1"),
        (StrategyLimits(orders_per_second_max=2), replace(EMPTY, rates={"test": Rate(NOW // 1000, 2)}),
         "strategy test: orders_per_second_max is 2"),
    ],
)  # fmt: skip
def test_a_strategys_own_limits_hold_beside_the_accounts(own: StrategyLimits, book: Book, sentence: str) -> None:
    """For its orders alone; they make nothing wider, and the account's sentence comes first."""
    limits = Limits(strategies={"test": own})
    assert sentence in said(limits, book)
    assert said(Limits(strategies={"other": own}), book) == ""
    wide = Limits(quantity_max={"*": Decimal("0.1")}, strategies={"test": StrategyLimits(quantity_max={"*": TEN})})
    assert said(wide).startswith("quantity_max of BTC/USDT is 0.1")
    assert limits.any
    assert limits.needs_marks is bool(own.notional_max)


def test_a_position_beyond_its_limit_may_be_made_smaller() -> None:
    """A drift must not lock an account in."""
    limits = Limits(position_max={SYMBOL: TEN})
    assert said(limits, holding(12), side="sell") == ""
    assert "position_max" in said(limits, holding(12))


def test_a_market_order_is_valued_by_a_fresh_mark() -> None:
    """Without one it is refused, not let through."""
    limits, order = Limits(notional_max={"*": Decimal(50_000)}), terms(type="market", price=None)
    fresh = replace(EMPTY, marks={SYMBOL: Mark(Decimal(50_001), NOW)})
    stale = replace(EMPTY, marks={SYMBOL: Mark(ONE, NOW - limits.mark_max_age_ms - 1)})
    assert "this order has 50001" in refusal(order, ONE, None, fresh, limits)
    assert "fresh mark" in refusal(order, ONE, None, stale, limits)


@pytest.mark.parametrize(
    ("book", "side", "quantity", "may"),
    [
        (holding(2), "sell", 2, True),
        (holding(2), "sell", 3, False),
        (holding(2, room("sell", 1)), "sell", 2, False),
        (holding(2, room("buy", 5)), "sell", 2, True),
        (holding(2), "buy", 1, False),
        (holding(-2), "buy", 2, True),
        (holding(0), "sell", 1, False),
    ],
)
def test_a_reduce_is_judged_by_its_size_with_everything_sent(book: Book, side: str, quantity: int, may: bool) -> None:
    """An oversized one would turn the position round."""
    assert reduces(terms(side=side), Decimal(quantity), book) is may


@given(
    st.lists(
        st.tuples(st.sampled_from(["claim", "fill", "cancel"]), st.sampled_from(["buy", "sell"]), st.integers(1, 6)),
        max_size=40,
    )
)
def test_no_interleaving_of_claims_fills_and_cancels_ends_beyond_a_limit(steps: list[tuple[str, str, int]]) -> None:
    """Whatever executes, in parts and in any order, the position stays within what was allowed."""
    limits = Limits(position_max={SYMBOL: TEN}, open_orders_max=4, orders_per_second_max=30)
    book, count = EMPTY, 0
    for step, side, size in steps:
        mine = next((one for one in book.sent if one.side == side), None)
        if step == "claim":
            order = terms(side=side, quantity=Decimal(size))
            if not refusal(order, order.quantity, order.price, book, limits):
                book, count = claimed(order, order.quantity, book), count + 1
        elif mine is not None:
            filled = min(Decimal(size), mine.left) if step == "fill" else ZERO
            held = book.positions.get((SYMBOL, "net"), ZERO) + (filled if side == "buy" else -filled)
            left = mine.left - filled if step == "fill" else ZERO
            others = [one for one in book.sent if one is not mine]
            rest = [*others, replace(mine, left=left)] if left else others
            book = replace(book, positions={(SYMBOL, "net"): held}, sent=rest)
        assert abs(book.positions.get((SYMBOL, "net"), ZERO)) <= TEN
        assert len(book.sent) <= 4
        assert count == book.rates.get("test", Rate()).count <= 30


def test_a_second_begins_anew() -> None:
    """By the server's clock."""
    book = replace(EMPTY, rates={"test": Rate(NOW // 1000, 5)})
    assert next_rate("test", book) == Rate(NOW // 1000, 6)
    assert next_rate("test", replace(book, now_ms=NOW + 500)) == Rate(NOW // 1000 + 1, 1)


async def test_two_gateways_cannot_both_use_the_last_room(pipeline: Pipeline) -> None:
    """The claim compares the exposure that each was judged by; what is refused is rejected with the limit's name."""
    limits = Limits(position_max={"*": Decimal(3)})
    await pipeline.ledger()
    for index in range(3):
        await pipeline.gateway(index, limits=limits)
    names = await pipeline.place(*(pipeline.terms() for _ in range(8)))
    ended = await asyncio.gather(*(pipeline.status(name, "open", "rejected") for name in names))
    refused = [one for one in ended if one.status == "rejected"]
    assert len(refused) == 5
    assert len(await pipeline.venue_orders()) == 3
    assert all("position_max of" in one.reason and " is 3," in one.reason for one in refused)


async def test_a_collar_follows_the_marks(pipeline: Pipeline) -> None:
    """The stream is read at each judgement; without a mark nothing is let through."""
    await pipeline.ledger()
    await pipeline.gateway(limits=Limits(price_collar=Decimal("0.05")))
    [first] = await pipeline.place(pipeline.terms())
    assert "no mark" in (await pipeline.status(first, "rejected")).reason
    await pipeline.redis.xadd(pipeline.keys.marks, {"data": b"nonsense"})
    await publish_mark(pipeline.redis, pipeline.account, pipeline.symbol, Decimal(100))
    [near] = await pipeline.place(pipeline.terms())
    [far] = await pipeline.place(pipeline.terms(price=Decimal(94)))
    await pipeline.status(near, "open")
    assert "94 is further than that from 100" in (await pipeline.status(far, "rejected")).reason


async def test_under_reducing_only_what_makes_the_position_smaller_goes_out(pipeline: Pipeline) -> None:
    """Size counts: an oversized reduce is refused; after the resume everything goes out again."""
    await pipeline.ledger()
    await pipeline.gateway()
    await pipeline.house("SELL", 2)
    [bought] = await pipeline.place(pipeline.terms(quantity=Decimal(2)))
    await pipeline.status(bought, "filled")
    await pipeline.until(pipeline.store.positions)
    await pipeline.scripts.halt("reduce", "wind down", "test", "strategy:test")
    sell = {"side": "sell", "price": Decimal(110)}
    [over] = await pipeline.place(pipeline.terms(quantity=Decimal(3), **sell))
    assert "reducing (wind down)" in (await pipeline.status(over, "rejected")).reason
    [part] = await pipeline.place(pipeline.terms(quantity=Decimal("1.5"), **sell))
    await pipeline.status(part, "open")
    [more] = await pipeline.place(pipeline.terms(quantity=Decimal("0.4"), **sell))
    await pipeline.status(more, "rejected", "open")
    [other] = await pipeline.place(pipeline.terms(strategy="other", price=Decimal(90)))
    await pipeline.status(other, "open")
    await pipeline.scripts.halt("resume", "done", "test", "strategy:test")
    [late] = await pipeline.place(pipeline.terms(price=Decimal(90)))
    await pipeline.status(late, "open")


async def test_under_reducing_an_amend_is_judged_without_the_order_that_it_changes(pipeline: Pipeline) -> None:
    """One that goes on closing the position goes out, one that would do more is refused, and the gateway goes on."""
    await pipeline.ledger()
    await pipeline.gateway()
    await pipeline.listener()
    await pipeline.house("SELL", 2)
    [bought] = await pipeline.place(pipeline.terms(quantity=Decimal(2)))
    await pipeline.status(bought, "filled")
    await pipeline.until(pipeline.store.positions)
    terms = pipeline.terms(side="sell", price=Decimal(110), quantity=Decimal("1.5"))
    [closing] = await pipeline.place(terms)
    await pipeline.status(closing, "open")
    await pipeline.scripts.halt("reduce", "wind down", "test")

    def wish(revision: int, quantity: str) -> Amend:
        return Amend(
            account=terms.account, strategy=terms.strategy, signal_id=terms.signal_id, revision=revision,
            signal_time=terms.signal_time, quantity=Decimal(quantity), price=Decimal(111),
        )  # fmt: skip

    async def declined() -> list[str]:
        return [str(one.reason) for one in await pipeline.journal() if isinstance(one, events.Declined)]

    await pipeline.publish(wish(1, "1.4"))

    async def amended() -> bool:
        return (await pipeline.order(closing)).quantity == Decimal("1.4") and not (await pipeline.order(closing)).amend

    await pipeline.until(amended)
    await pipeline.publish(wish(2, "2.5"))
    await pipeline.until(declined)
    [reason] = await declined()
    assert "reducing (wind down)" in reason
    assert (await pipeline.order(closing)).quantity == Decimal("1.4")
    [little] = await pipeline.place(pipeline.terms(side="sell", price=Decimal(110), quantity=Decimal("0.3")))
    await pipeline.status(little, "open")


@pytest.mark.parametrize("scope", ["global", "strategy:test", "symbol"])
async def test_a_halt_holds_what_is_of_its_scope_and_nothing_else(pipeline: Pipeline, scope: str) -> None:
    """Checked inside the claim; the entry waits, and goes on after the resume."""
    await pipeline.ledger()
    gateway = await pipeline.gateway(claim_idle_ms=500)
    where = f"symbol:{pipeline.symbol}" if scope == "symbol" else scope
    await pipeline.scripts.halt("halt", "test", "test", where)
    [held] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gateway.halted)
    assert (await pipeline.order(held)).status == "created"
    [other] = await pipeline.place(pipeline.terms(strategy="other"))
    if scope == "strategy:test":
        await pipeline.status(other, "open")
    await pipeline.scripts.halt("resume", "test", "test", where)
    await pipeline.status(held, "open")


async def test_what_was_judged_before_another_claim_or_switch_is_judged_again(redis: Redis, account: str) -> None:
    """R9: the claim compares the exposure; the last room is used once, and a refusal of yesterday refuses nothing."""
    bench = await Bench(redis, account).open()
    places = [place(account, f"s{number}") for number in range(3)]
    await bench.publish(*places)
    entries = await bench.read_intents()
    items = [
        bench.claim_item(entry.id, one, strategy="test", symbol=SYMBOL)
        for entry, one in zip(entries, places, strict=True)
    ]
    limits = Limits(position_max={"*": ONE})
    judges = [Judge(redis, bench.keys, limits) for _ in range(2)]
    [(one, seen), (other, also)] = [
        await judge.judge([item], INSTRUMENTS) for judge, item in zip(judges, items, strict=False)
    ]
    assert (one[0].refusal, other[0].refusal, seen) == ("", "", also)
    assert isinstance((await bench.scripts.claim(one, "g", 5_000, 1_000, seen))[0], Claimed)
    assert await bench.scripts.claim(other, "g", 5_000, 1_000, also) == [Stale()]
    refused, now = await judges[1].judge([items[1]], INSTRUMENTS)
    assert "position_max" in refused[0].refusal
    await bench.scripts.halt("reduce", "x", "test", "symbol:OTHER/USDT")
    assert await bench.scripts.claim(refused, "g", 5_000, 1_000, now) == [Stale()]
    assert (await bench.order(items[1].client_order_id)).status == "created"


async def test_an_order_that_only_others_of_its_batch_forbid_is_left_to_the_next_round(
    redis: Redis, account: str
) -> None:
    """Whether those are sent is not known yet; by itself it would be allowed."""
    bench = await Bench(redis, account).open()
    places = [place(account, f"s{number}") for number in range(3)]
    items = [bench.claim_item("1-1", one, strategy="test", symbol=SYMBOL) for one in places]
    judged, _ = await Judge(redis, bench.keys, Limits(position_max={"*": Decimal(2)})).judge(items, INSTRUMENTS)
    assert [(item.judged, item.refusal) for item in judged] == [(True, ""), (True, "")]


async def test_an_order_that_was_found_at_the_venue_makes_another_exposure(redis: Redis, account: str) -> None:
    """It may execute all of it: what was judged before it got its record is judged again."""
    bench = await Bench(redis, account).open()
    terms = place(account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    judge = Judge(redis, bench.keys, Limits(position_max={"*": ONE}))
    item = bench.claim_item(entry.id, terms, strategy="test", symbol=SYMBOL)
    judged, seen = await judge.judge([item], INSTRUMENTS)
    assert judged[0].refusal == ""
    history = (await bench.scripts.gate()).history
    await bench.scripts.import_orders([import_item("fo-found", place(account, "found"))], history)
    assert await bench.scripts.claim(judged, "g", 5_000, 1_000, seen) == [Stale()]
    again, _ = await judge.judge([item], INSTRUMENTS)
    assert "position_max" in again[0].refusal


async def test_what_an_amend_gives_up_is_no_room_for_those_behind_it(redis: Redis, account: str) -> None:
    """Until the venue has changed the order it may execute as it was."""
    bench = await Bench(redis, account).open()
    resting = await opened(bench)
    assert resting.terms is not None
    item = {"strategy": "test", "symbol": SYMBOL}
    less = bench.claim_item(
        "1-1", resting.terms, command="amend", revision=1, sent='{"quantity":"0.1","price":"50000"}', **item
    )  # fmt: skip
    behind = bench.claim_item("1-2", place(account, "s2", quantity=Decimal("0.9")), **item)
    judge = Judge(redis, bench.keys, Limits(position_max={"*": ONE}))
    [first, second], _ = await judge.judge([less, behind], INSTRUMENTS)
    assert first.refusal == ""
    assert "position_max" in second.refusal


async def test_a_fill_makes_another_exposure(pipeline: Pipeline) -> None:
    """What was judged before it is judged again."""
    await pipeline.ledger()
    await pipeline.listener()
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    before = await pipeline.redis.hget(pipeline.keys.control, "exposure")
    await pipeline.house("SELL", 1)
    await pipeline.status(name, "filled")
    assert await pipeline.redis.hget(pipeline.keys.control, "exposure") != before
