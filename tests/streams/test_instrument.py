"""Specification of streams/instrument.py: an order is on the grid and within the limits, or it is refused by name."""

import decimal
import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from streams.errors import BadIntent, BadPayload
from streams.instrument import (
    KNOWN_SHOWN_MAX,
    Fit,
    Instrument,
    Legal,
    OffLimits,
    fit,
    refuse_unsupported,
    tabulate,
    version,
)
from streams.money import text
from streams.schemas import Place

AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
BTC = Instrument(
    symbol="BTC/USDT",
    venue_symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.00001"),
    quantity_min=Decimal("0.00001"),
    quantity_max=Decimal(9000),
    notional_min=Decimal(5),
)


def place(quantity: str | Decimal, price: str | Decimal | None, **changes: Any) -> Place:
    """A buy of BTC/USDT, a market order without a price."""
    fields: dict[str, Any] = {
        "account": "binance.main",
        "strategy": "s",
        "signal_id": "1",
        "signal_time": AT,
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "market" if price is None else "limit",
        "quantity": Decimal(quantity),
        "price": None if price is None else Decimal(price),
    }
    return Place(**{**fields, **changes})


def instrument(**changes: Any) -> Instrument:
    """BTC/USDT with `changes`."""
    return msgspec.structs.replace(BTC, **changes)


STEPS = st.builds(
    lambda digit, decimals: Decimal(digit).scaleb(-decimals), st.sampled_from([1, 2, 5, 25, 3]), st.integers(-1, 8)
)
AMOUNTS = st.builds(
    lambda digits, decimals: Decimal(digits).scaleb(-decimals), st.integers(1, 10**9), st.integers(0, 9)
)
ZERO_OR = st.just(Decimal(0)).__or__


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    """Instruments with and without each limit."""
    return instrument(
        tick=draw(ZERO_OR(STEPS)),
        lot=draw(ZERO_OR(STEPS)),
        market_lot=draw(ZERO_OR(STEPS)),
        quantity_min=draw(ZERO_OR(AMOUNTS)),
        quantity_max=draw(ZERO_OR(AMOUNTS)),
        notional_min=draw(ZERO_OR(AMOUNTS)),
        contract_size=draw(st.sampled_from([Decimal(1), Decimal("0.001"), Decimal(100)])),
    )


@st.composite
def orders(draw: st.DrawFn, *, rounding: st.SearchStrategy[str | None]) -> tuple[Place, Instrument]:
    """An order and its instrument; amounts are often on the grid, and near the limits."""
    given_instrument = draw(instruments())
    limit = draw(st.booleans())
    lot = step_of(given_instrument, limit=limit)

    def amount(step: Decimal, near: list[Decimal]) -> Decimal:
        free = draw(AMOUNTS | st.sampled_from([value for value in near if value] or [Decimal(1)]))
        on_grid = Fraction(free) // Fraction(step) * Fraction(step) if step else 0
        if on_grid and draw(st.booleans()):
            return Decimal(on_grid.numerator) / Decimal(on_grid.denominator)
        return free

    quantity = amount(lot, [given_instrument.quantity_min, given_instrument.quantity_max])
    price = amount(given_instrument.tick, []) if limit else None
    side = draw(st.sampled_from(["buy", "sell"]))
    return place(quantity, price, rounding=draw(rounding), side=side), given_instrument


def step_of(given_instrument: Instrument, *, limit: bool) -> Decimal:
    """The quantity step, read off the rule and not off the code."""
    return given_instrument.lot if limit else given_instrument.market_lot or given_instrument.lot


def broken(quantity: Decimal, price: Decimal | None, given_instrument: Instrument) -> set[str]:
    """Every limit that two amounts break, by exact fractions: the oracle `fit` is held against."""
    rule, size, names = given_instrument, Fraction(quantity), set()
    lot = step_of(rule, limit=price is not None)
    if lot and size % Fraction(lot):
        names.add("lot")
    if size < Fraction(rule.quantity_min):
        names.add("quantity_min")
    if rule.quantity_max and size > Fraction(rule.quantity_max):
        names.add("quantity_max")
    if price is not None:
        if rule.tick and Fraction(price) % Fraction(rule.tick):
            names.add("tick")
        if size * Fraction(price) * Fraction(rule.contract_size) < Fraction(rule.notional_min):
            names.add("notional_min")
    return names


ANY = st.sampled_from([None, "down", "nearest"])
EXACTLY: st.SearchStrategy[str | None] = st.none()
ROUNDED: st.SearchStrategy[str | None] = st.sampled_from(["down", "nearest"])


def amounts(verdict: Legal) -> tuple[Decimal, Decimal | None]:
    """What is sent, as amounts."""
    price = verdict.sent.get("price")
    return Decimal(verdict.sent["quantity"]), None if price is None else Decimal(price)


@given(orders(rounding=ANY))
def test_what_is_sent_is_on_the_grid_and_within_every_limit(order: tuple[Place, Instrument]) -> None:
    """No amount that the venue would refuse or truncate is ever called legal."""
    verdict = fit(*order)
    if isinstance(verdict, Legal):
        quantity, price = amounts(verdict)
        assert quantity > 0
        assert price is None or price > 0
        assert (price is None) == (order[0].type == "market")
        assert broken(quantity, price, order[1]) == set()


@given(orders(rounding=EXACTLY))
def test_without_rounding_an_order_is_sent_as_it_is_or_refused_for_a_limit_it_breaks(
    order: tuple[Place, Instrument],
) -> None:
    """Legal exactly when no limit is broken; then the amounts are the asked ones, else one broken limit is named."""
    terms, rule = order
    names = broken(terms.quantity, terms.price, rule)
    match fit(terms, rule):
        case Legal() as verdict:
            assert names == set()
            assert amounts(verdict) == (terms.quantity, terms.price)
        case OffLimits(limit=limit, value=value, asked=asked):
            assert limit in names
            assert value == asked


@given(orders(rounding=ROUNDED))
def test_rounding_never_moves_an_amount_by_a_whole_step(order: tuple[Place, Instrument]) -> None:
    """`down` loses less than a step and gains nothing; `nearest` moves by half a step at most, the middle goes up."""
    terms, rule = order
    verdict = fit(terms, rule)
    assume(isinstance(verdict, Legal))
    assert isinstance(verdict, Legal)
    quantity, price = amounts(verdict)
    moves = [(terms.quantity, quantity, step_of(rule, limit=price is not None))]
    if terms.price is not None and price is not None:
        moves.append((terms.price, price, rule.tick))
    for asked, sent, step in moves:
        moved = Fraction(sent) - Fraction(asked)
        if not step or Fraction(asked) % Fraction(step) == 0:
            assert moved == 0
        elif terms.rounding == "down":
            assert -Fraction(step) < moved < 0
        else:
            assert -Fraction(step) / 2 < moved <= Fraction(step) / 2


@given(orders(rounding=ROUNDED))
def test_an_order_refused_after_rounding_breaks_a_limit_with_the_rounded_amounts(
    order: tuple[Place, Instrument],
) -> None:
    """Rounding only brings an amount onto the grid; what is too small or too large after it stays refused."""
    terms, rule = order
    verdict = fit(terms, rule)
    assume(isinstance(verdict, OffLimits))
    assert isinstance(verdict, OffLimits)
    assert verdict.limit != "lot"
    if verdict.limit == "tick":
        assert verdict.value == 0
    elif verdict.limit != "notional_min" and verdict.value:
        assert verdict.limit in broken(verdict.value, verdict.price, rule)


@given(orders(rounding=ANY))
def test_fitting_a_fitted_order_changes_nothing(order: tuple[Place, Instrument]) -> None:
    """The amounts of a legal order are legal as they are, without any rounding."""
    terms, rule = order
    verdict = fit(terms, rule)
    if isinstance(verdict, Legal):
        quantity, price = amounts(verdict)
        again = msgspec.structs.replace(terms, quantity=quantity, price=price, rounding=None)
        assert fit(again, rule) == verdict


@given(orders(rounding=ANY), st.integers(1, 6))
def test_the_spelling_of_an_amount_does_not_matter(order: tuple[Place, Instrument], zeros: int) -> None:
    """1, 1.0 and 1.00 fit alike, and are sent in one text."""
    terms, rule = order

    def longer(amount: Decimal) -> Decimal:
        return Decimal(f"{amount:f}" + ("" if "." in f"{amount:f}" else ".") + "0" * zeros)

    price = None if terms.price is None else longer(terms.price)
    spelled = msgspec.structs.replace(terms, quantity=longer(terms.quantity), price=price)
    assert fit(spelled, rule) == fit(terms, rule)


def use(terms: Place, verdict: OffLimits) -> Place:
    """Do what the sentence says."""
    field = "price" if verdict.limit == "tick" else "quantity"
    return msgspec.structs.replace(terms, **{field: verdict.nearest})


@given(orders(rounding=ANY))
def test_the_nearest_legal_amount_is_legal_when_it_is_used(order: tuple[Place, Instrument]) -> None:
    """Who sends the nearest quantity has a legal order; after the nearest price only the quantity may be left."""
    terms, rule = order
    verdict: Fit = fit(terms, rule)
    if isinstance(verdict, OffLimits) and verdict.limit == "tick":
        assert verdict.nearest is not None
        terms = use(terms, verdict)
        verdict = fit(terms, rule)
        assert not isinstance(verdict, OffLimits) or verdict.limit != "tick"
    if isinstance(verdict, OffLimits) and verdict.nearest is not None:
        assert isinstance(fit(use(terms, verdict), rule), Legal)


@given(orders(rounding=EXACTLY))
def test_no_legal_quantity_is_nearer_than_the_nearest(order: tuple[Place, Instrument]) -> None:
    """One step from the nearest quantity towards the asked one, or onto its other side, is nothing better."""
    terms, rule = order
    verdict = fit(terms, rule)
    assume(isinstance(verdict, OffLimits) and verdict.limit != "tick")
    assert isinstance(verdict, OffLimits)
    step = step_of(rule, limit=terms.type == "limit")
    assume(step)
    if verdict.nearest is None:
        smallest = max(Fraction(rule.quantity_min), Fraction(step))
        if terms.price is not None:
            worth = Fraction(terms.price) * Fraction(rule.contract_size)
            smallest = max(smallest, Fraction(rule.notional_min) / worth)
        steps = -(-smallest // Fraction(step))
        assert steps * Fraction(step) > Fraction(rule.quantity_max) > 0
        return
    distance = abs(verdict.nearest - terms.quantity)
    for other in (verdict.nearest - step, verdict.nearest + step):
        if other > 0 and abs(other - terms.quantity) < distance:
            assert broken(other, terms.price, rule)


@given(orders(rounding=ANY))
def test_a_refusal_is_one_sentence_with_the_limit_the_value_and_the_way_out(order: tuple[Place, Instrument]) -> None:
    """A person reads what was asked, what bounds it, for which symbol, and what would do."""
    verdict = fit(*order)
    if isinstance(verdict, OffLimits):
        sentence = verdict.sentence
        for part in (text(verdict.asked), text(verdict.bound), "BTC/USDT"):
            assert part in sentence
        assert ("legal" if verdict.nearest is None else text(verdict.nearest)) in sentence
        assert "\n" not in sentence
        assert "E" not in sentence.replace("BTC/USDT", "")


@pytest.mark.parametrize(
    ("terms", "rule", "limit", "sentence"),
    [
        (
            place("1", "100.005"),
            BTC,
            "tick",
            "price 100.005 is off the tick of 0.01 for BTC/USDT; the nearest legal price is 100.01",
        ),
        (
            place("0.123456", "100"),
            BTC,
            "lot",
            "quantity 0.123456 is off the lot of 0.00001 for BTC/USDT; the nearest legal quantity is 0.12346",
        ),
        (
            place("0.0004", "20000"),
            instrument(quantity_min=Decimal("0.001005"), lot=Decimal("0.0001")),
            "quantity_min",
            "quantity 0.0004 is below the minimum of 0.001005 for BTC/USDT; the nearest legal quantity is 0.0011",
        ),
        (
            place("9000.1", "100"),
            BTC,
            "quantity_max",
            "quantity 9000.1 is above the maximum of 9000 for BTC/USDT; the nearest legal quantity is 9000",
        ),
        (
            place("0.01", "300"),
            BTC,
            "notional_min",
            "notional 3 is below the minimum of 5 for BTC/USDT; the nearest legal quantity at 300 is 0.01667",
        ),
        (
            place("0.000001", "100", rounding="down"),
            BTC,
            "quantity_min",
            (
                "quantity 0.000001, rounded to 0, is below the minimum of 0.00001 for BTC/USDT; "
                "the nearest legal quantity is 0.05"
            ),
        ),
        (
            place("1", "1"),
            instrument(quantity_max=Decimal(4)),
            "notional_min",
            "notional 1 is below the minimum of 5 for BTC/USDT; no quantity at 1 is legal",
        ),
    ],
)
def test_each_limit_has_its_sentence(terms: Place, rule: Instrument, limit: str, sentence: str) -> None:
    """The sentences a person reads, limit by limit."""
    verdict = fit(terms, rule)
    assert isinstance(verdict, OffLimits)
    assert (verdict.limit, verdict.sentence) == (limit, sentence)


@pytest.mark.parametrize(
    ("side", "rounding", "price", "sent"),
    [
        ("buy", "down", "100.019", "100.01"),
        ("sell", "down", "100.019", "100.01"),
        ("buy", "nearest", "100.005", "100.01"),
        ("sell", "nearest", "100.015", "100.02"),
        ("buy", "nearest", "100.0049", "100"),
    ],
)
def test_prices_are_rounded_by_number_and_not_by_side(side: str, rounding: str, price: str, sent: str) -> None:
    """`down` is a smaller number for buys and sells alike; `nearest` goes up from the middle."""
    verdict = fit(place("1", price, side=side, rounding=rounding), BTC)
    assert verdict == Legal({"quantity": "1", "price": sent})


def test_rounding_to_nothing_is_refused_and_not_sent() -> None:
    """A quantity rounded to zero breaks the minimum, even where the venue has none; such a price is off the tick."""
    bare = instrument(quantity_min=Decimal(0), notional_min=Decimal(0), lot=Decimal("0.1"))
    quantity = fit(place("0.04", "100", rounding="nearest"), bare)
    assert isinstance(quantity, OffLimits)
    assert (quantity.limit, quantity.bound, quantity.nearest) == ("quantity_min", Decimal("0.1"), Decimal("0.1"))
    price = fit(place("0.1", "0.004", rounding="down"), bare)
    assert isinstance(price, OffLimits)
    assert (price.limit, price.value, price.nearest) == ("tick", Decimal(0), Decimal("0.01"))


def test_the_nearest_price_is_the_other_neighbour_where_the_nearer_one_makes_the_order_too_small() -> None:
    """99.99 is nearer to 99.991, and would put 0.05 below 5 USDT, so 100 is what is offered."""
    verdict = fit(place("0.05", "99.991"), BTC)
    assert isinstance(verdict, OffLimits)
    assert verdict.nearest == Decimal(100)


def test_market_orders_have_their_own_lot() -> None:
    """Where the venue has another step for market orders, that one counts for them and for them alone."""
    rule = instrument(market_lot=Decimal("0.1"))
    assert fit(place("0.25", "100"), rule) == Legal({"quantity": "0.25", "price": "100"})
    verdict = fit(place("0.25", None), rule)
    assert isinstance(verdict, OffLimits)
    assert (verdict.limit, verdict.bound, verdict.nearest) == ("lot", Decimal("0.1"), Decimal("0.3"))
    assert fit(place("0.25", None), BTC) == Legal({"quantity": "0.25"})


def test_a_market_order_is_valued_only_at_a_price_that_was_given() -> None:
    """Without a reference price nobody knows its notional; with one it is checked, and no price is sent."""
    assert fit(place("0.01", None), BTC) == Legal({"quantity": "0.01"})
    assert fit(place("0.05", None), BTC, Decimal(100)) == Legal({"quantity": "0.05"})
    verdict = fit(place("0.01", None), BTC, Decimal(100))
    assert isinstance(verdict, OffLimits)
    assert (verdict.limit, verdict.nearest, verdict.price) == ("notional_min", Decimal("0.05"), Decimal(100))


def test_the_notional_counts_the_contract_size() -> None:
    """One contract of 0.001 at 1000 is worth 1."""
    verdict = fit(place("1", "1000"), instrument(contract_size=Decimal("0.001"), lot=Decimal(1)))
    assert isinstance(verdict, OffLimits)
    assert (verdict.limit, verdict.value, verdict.nearest) == ("notional_min", Decimal(1), Decimal(5))


def test_a_limit_is_compared_exactly_however_many_digits_a_product_has() -> None:
    """(1 + e)(1 - e) is less than 1 by 1E-40, which 38 digits would not see."""
    fine = Decimal("1E-20")
    rule = instrument(tick=fine, lot=fine, notional_min=Decimal(1))
    verdict = fit(place("0.99999999999999999999", "1.00000000000000000001"), rule)
    assert isinstance(verdict, OffLimits)
    assert (verdict.limit, verdict.nearest) == ("notional_min", Decimal(1))


@given(orders(rounding=ANY))
@example((place("1", "100.0049999", rounding="nearest"), BTC))
def test_the_thread_s_decimal_context_does_not_matter(order: tuple[Place, Instrument]) -> None:
    """A caller's own decimal settings change no verdict."""
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP)):
        verdict = fit(*order)
    assert fit(*order) == verdict


def test_an_order_is_never_held_against_another_symbol() -> None:
    """Limits of the wrong instrument would say nothing; that is a mistake of the caller."""
    with pytest.raises(AssertionError, match="ETH/USDT held against BTC/USDT"):
        fit(place("1", "100", symbol="ETH/USDT"), BTC)


@pytest.mark.parametrize(
    "limit", ["tick", "lot", "quantity_min", "quantity_max", "market_lot", "notional_min", "contract_size"]
)
@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "1E+30"])
def test_an_instrument_has_limits_one_can_compare_with(limit: str, amount: str) -> None:
    """What a venue lists as no number or as a negative one is refused where it is loaded."""
    with pytest.raises(
        ValueError, match=re.escape(f"{limit} of BTC/USDT must be zero or a positive decimal, not {amount}")
    ):
        instrument(**{limit: Decimal(amount)})


def test_a_contract_has_a_size() -> None:
    """A size of zero would make every order worth nothing."""
    with pytest.raises(ValueError, match="contract_size of BTC/USDT must not be zero"):
        instrument(contract_size=Decimal(0))


TYPES = frozenset({"limit", "market"})
TIMES = frozenset({"gtc", "ioc", "fok"})
FLAGS = frozenset({"post_only", "reduce_only"})
SIDES = frozenset({"net"})
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("changes", "takes", "sentence"),
    [
        (
            {"time_in_force": "gtd"},
            (TYPES, TIMES, FLAGS, SIDES),
            "binance takes no time in force gtd; it takes gtc, ioc, fok",
        ),
        (
            {"type": "market", "price": None},
            (frozenset({"limit"}), TIMES, FLAGS, SIDES),
            "binance takes no order type market; it takes limit",
        ),
        (
            {"post_only": True},
            (TYPES, TIMES, frozenset({"reduce_only"}), SIDES),
            "binance takes no flag post_only; it takes reduce_only",
        ),
        ({"reduce_only": True}, (TYPES, TIMES, NONE, SIDES), "binance takes no flag reduce_only; it takes none"),
        (
            {"position_side": "long"},
            (TYPES, TIMES, FLAGS, SIDES),
            "binance takes no position side long; it takes net",
        ),
    ],
)
def test_what_a_venue_cannot_do_is_refused_by_name(
    changes: dict[str, Any], takes: tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]], sentence: str
) -> None:
    """The venue, the wish and what it takes instead are in one sentence."""
    assert refuse_unsupported(msgspec.structs.replace(place("1", "100"), **changes), *takes) == sentence


def test_what_a_venue_can_do_is_not_refused() -> None:
    """An order within what a venue takes passes, and a market order's time in force means nothing."""
    wishes = place("1", "100", post_only=True, reduce_only=True)
    assert refuse_unsupported(wishes, TYPES, TIMES, FLAGS, SIDES) is None
    assert refuse_unsupported(place("1", "100"), TYPES, TIMES, NONE, SIDES) is None
    assert refuse_unsupported(place("1", None), TYPES, frozenset({"ioc"}), NONE, SIDES) is None


ETH = instrument(symbol="ETH/USDT", venue_symbol="ETHUSDT", base="ETH")


def test_an_instrument_is_found_by_both_spellings() -> None:
    """The unified symbol and the venue's lead to the same instrument."""
    table = tabulate([BTC, ETH])
    assert table.of("ETH/USDT") is table.of_venue_symbol("ETHUSDT") is ETH
    assert table.of("BTC/USDT") is table.of_venue_symbol("BTCUSDT") is BTC
    assert table.version == version([BTC, ETH])


def test_an_unknown_symbol_is_refused_with_a_few_known_ones() -> None:
    """A person sees what may have been meant, those that begin alike first, and not a thousand symbols."""
    many = [instrument(symbol=f"A{number}/USDT", venue_symbol=f"A{number}USDT") for number in range(50)]
    table = tabulate([*many, ETH])
    with pytest.raises(BadIntent, match=r"^unknown symbol 'ETH/USDC'; known: ETH/USDT, A0/USDT, A1/USDT, \.\.\.$"):
        table.of("ETH/USDC")
    with pytest.raises(BadIntent, match=r"^unknown symbol 'ETHUSDC'; known: ETHUSDT, A0USDT, A10USDT, \.\.\.$"):
        table.of_venue_symbol("ETHUSDC")
    with pytest.raises(BadIntent, match=r"^unknown symbol 'BTCUSDT'; known: ETH/USDT$"):
        tabulate([ETH]).of("BTCUSDT")
    with pytest.raises(BadIntent, match=r"^unknown symbol 'BTC/USDT'; known: none$"):
        tabulate([]).of("BTC/USDT")
    assert KNOWN_SHOWN_MAX == 3


@pytest.mark.parametrize(
    ("second", "name"),
    [
        (instrument(venue_symbol="XBTUSDT"), "BTC/USDT"),
        (instrument(symbol="BTC/USDT:USDT"), "BTCUSDT"),
        (instrument(tick=Decimal("0.1")), "BTC/USDT"),
    ],
)
def test_a_spelling_that_means_two_instruments_is_refused(second: Instrument, name: str) -> None:
    """A fill of `BTCUSDT` must never be counted for the wrong one of two."""
    with pytest.raises(BadPayload, match=f"two different instruments as '{name}'"):
        tabulate([BTC, second])
    assert tabulate([BTC, BTC]) == tabulate([BTC])


@given(st.lists(instruments(), max_size=5).flatmap(lambda made: st.tuples(st.just(made), st.permutations(made))))
def test_the_version_of_a_set_does_not_depend_on_order_or_repetition(
    pair: tuple[list[Instrument], list[Instrument]],
) -> None:
    """Two processes that loaded the same instruments have the same version."""
    listed, mixed = pair
    assert version(listed) == version(mixed) == version([*mixed, *listed])
    assert len(version(listed)) == 32


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": "BTC/USDC"},
        {"venue_symbol": "BTCUSDC"},
        {"base": "ETH"},
        {"quote": "USDC"},
        {"tick": Decimal("0.1")},
        {"lot": Decimal("0.1")},
        {"quantity_min": Decimal("0.1")},
        {"quantity_max": Decimal(1)},
        {"market_lot": Decimal(1)},
        {"notional_min": Decimal(10)},
        {"contract_size": Decimal(10)},
    ],
)
def test_every_change_of_an_instrument_changes_the_version(changes: dict[str, Any]) -> None:
    """A limit that the venue moved is seen; zeros behind an amount are not a change."""
    assert version([instrument(**changes), ETH]) != version([BTC, ETH])
    assert version([instrument(tick=Decimal("0.0100")), ETH]) == version([BTC, ETH])


def test_the_version_is_the_same_for_ever() -> None:
    """The digest is compared across processes of different age: this one is frozen."""
    assert version([BTC, ETH]) == "dd81a428f71ed3686b4e7cee143e22f7"
