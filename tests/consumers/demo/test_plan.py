"""Specification of consumers/demo/plan.py: two copies of a strategy want the same, and all of it can be sent."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consumers.demo.plan import MAKER_PATIENCE, NAMES, Name, Script, last_words, react, share, signal
from streams import codec
from streams.identity import client_order_id
from streams.instrument import Legal, fit
from streams.notices import OrderChanged
from streams.schemas import TERMINAL, Cancel, Intent, OrderStatus, Place
from tests.flow import INFO, INSTRUMENTS

PRICES = {"BTC/USDT": Decimal("60000.00"), "ETH/USDT": Decimal("3000.00")}
CHASER = Script(
    name="chaser", account="sim.main", seed=1, signals=10, started_at=datetime(2026, 1, 1, tzinfo=UTC), prices=PRICES,
    pause_ms=20,
)  # fmt: skip
SCRIPTS = st.builds(
    lambda name, seed, signals: replace(CHASER, name=name, seed=seed, signals=signals),
    st.sampled_from(NAMES),
    st.integers(0, 2**32),
    st.integers(1, 60),
)


def spoken(script: Script) -> list[Intent]:
    """All that a strategy says by itself."""
    return [
        intent for number in range(script.signals) for intent in signal(script, number)
    ] + list(last_words(script))  # fmt: skip


def ended(signal_id: str, status: OrderStatus = "filled", filled: str = "1") -> OrderChanged:
    """How an order of the chaser stands."""
    return OrderChanged(
        event_id="e", account="sim.main", at_ms=1, client_order_id="fo-1", strategy="chaser", signal_id=signal_id,
        symbol="BTC/USDT", status=status, filled=Decimal(filled),
    )  # fmt: skip


@given(SCRIPTS)
def test_two_copies_say_the_same_to_the_byte(script: Script) -> None:
    """They run at different speeds, so no signal depends on the one before it."""
    other = replace(script, prices=dict(reversed(list(script.prices.items()))))
    alone = list(reversed([signal(other, number) for number in reversed(range(other.signals))]))
    said = [codec.encode(intent) for intents in alone for intent in intents]
    assert said == [codec.encode(one) for one in spoken(script)][: len(said)]


@given(SCRIPTS)
def test_every_order_is_on_the_venues_grid(script: Script) -> None:
    """Nothing of the demo ends as rejected for its amounts."""
    for intent in spoken(script):
        if isinstance(intent, Place):
            assert isinstance(fit(intent, INSTRUMENTS.of(intent.symbol), PRICES[intent.symbol]), Legal)
            assert codec.decode_intent(codec.encode(intent)) == intent


@given(SCRIPTS)
def test_every_signal_is_an_order_of_its_own(script: Script) -> None:
    """No two places of a strategy share an identity, and times follow the numbers."""
    places = [one for one in spoken(script) if isinstance(one, Place)]
    assert len({client_order_id(one, INFO.id_rule) for one in places}) == len(places) == script.signals
    times = [one.signal_time for one in places]
    assert times == [script.started_at + timedelta(milliseconds=20 * number) for number in range(script.signals)]


@given(SCRIPTS)
def test_the_maker_takes_back_each_order_once_and_after_its_patience(script: Script) -> None:
    """So that nothing rests when the demo ends; the others cancel nothing."""
    said = spoken(script)
    cancels = Counter(one.signal_id for one in said if isinstance(one, Cancel))
    if script.name != "maker":
        assert not cancels
        return
    assert cancels == Counter(f"signal-{number}" for number in range(script.signals))
    for number in range(script.signals):
        names = [one.signal_id for one in signal(script, number) if isinstance(one, Cancel)]
        assert names == ([f"signal-{number - MAKER_PATIENCE}"] if number >= MAKER_PATIENCE else [])


@given(SCRIPTS)
def test_each_strategy_uses_its_own_kind_of_order(script: Script) -> None:
    """Takers at the market, makers resting below it, chasers at once or not at all."""
    for one in spoken(script):
        if not isinstance(one, Place):
            continue
        kind: tuple[str, str] = {
            "taker": ("market", "gtc"), "maker": ("limit", "gtc"), "chaser": ("limit", "ioc"),
        }[script.name]  # fmt: skip
        assert (one.type, one.time_in_force) == kind
        assert not one.post_only or script.name == "maker"
        if one.price is not None:
            worse = one.price < PRICES[one.symbol] if one.side == "buy" else one.price > PRICES[one.symbol]
            assert worse == (script.name == "maker")


def test_another_seed_is_another_plan() -> None:
    """And another strategy, too."""
    plans = {tuple(map(codec.encode, spoken(replace(CHASER, seed=seed)))) for seed in range(5)}
    assert len(plans) == 5


@given(st.integers(0, 9), st.sampled_from(sorted(TERMINAL)), st.integers(1, 100))
def test_the_chaser_leaves_what_its_entry_got(number: int, status: OrderStatus, lots: int) -> None:
    """The other side, at the market, once: the exit has an identity of its own that does not depend on the event."""
    [entry] = signal(CHASER, number)
    assert isinstance(entry, Place)
    filled = str(lots * Decimal("0.001"))
    exit_ = react(CHASER, ended(f"signal-{number}", status, filled))
    assert exit_ is not None
    assert {exit_.side, entry.side} == {"buy", "sell"}
    assert (exit_.symbol, exit_.type, exit_.quantity) == (entry.symbol, "market", Decimal(filled))
    assert (exit_.signal_id, exit_.signal_time) == (f"exit-{number}", entry.signal_time)
    assert exit_ == react(CHASER, ended(f"signal-{number}", "filled", filled))


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("taker", ended("signal-1")),
        ("maker", ended("signal-1")),
        ("chaser", ended("exit-1")),
        ("chaser", ended("signal-1", "partially_filled")),
        ("chaser", ended("signal-1", filled="0")),
    ],
)
def test_nothing_else_makes_an_exit(name: Name, order: OrderChanged) -> None:
    """Other strategies, exits themselves, orders that go on, entries that got nothing."""
    assert react(replace(CHASER, name=name), order) is None


@given(st.integers(1, 100_000))
def test_shares_are_never_nothing_and_never_more_than_all(intents: int) -> None:
    """Each strategy speaks at least once; with an exit for every entry they make no more than what was asked for."""
    counts = {name: share(name, intents) for name in NAMES}
    assert min(counts.values()) >= 1
    if intents >= 10:
        assert counts["taker"] + counts["maker"] + 2 * counts["chaser"] <= intents
