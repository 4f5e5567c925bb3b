"""What the demo's strategies want. Pure and seeded: two copies of a strategy make the same signals.

`taker` sends market orders; `maker` rests limit orders and cancels them when they have rested for a while;
`chaser` enters with IOC limit orders and leaves what it got by a market order, as a reaction to the event.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from streams.notices import OrderChanged
from streams.schemas import TERMINAL, Amend, Cancel, Intent, Place

Name = Literal["taker", "maker", "chaser"]
NAMES: tuple[Name, ...] = ("taker", "maker", "chaser")
# Share of all intents; every filled entry of the chaser brings an exit, so it makes half of its share itself.
SHARES: dict[Name, Decimal] = {"taker": Decimal("0.40"), "maker": Decimal("0.30"), "chaser": Decimal("0.15")}
MAKER_PATIENCE = 20  # signals after which a resting order is cancelled
MAKER_SECOND_THOUGHT = 4  # signals after which some are amended, and some of those once more at once

LOTS = {"BTC/USDT": Decimal("0.00001"), "ETH/USDT": Decimal("0.0001")}
SIZES = {"BTC/USDT": (50, 900), "ETH/USDT": (100, 2_000)}  # in lots; both well above the smallest notional
TICK = Decimal("0.01")


class Script(Struct, frozen=True, kw_only=True):
    """What one strategy of the demo is told.

    Attributes:
        name: which of the three.
        account: where it trades.
        seed: of its decisions; both copies have the same.
        signals: how many it makes by itself.
        started_at: signal times count from here.
        prices: reference price by symbol.
        pause_ms: between two signals.
    """

    name: Name
    account: str
    seed: int
    signals: int
    started_at: datetime
    prices: Mapping[str, Decimal]
    pause_ms: int


def share(name: Name, intents: int) -> int:
    """Signals of one strategy out of all `intents`."""
    return max(1, int(intents * SHARES[name]))


def signal(script: Script, number: int) -> Sequence[Intent]:
    """The intents of one signal; the same for every copy."""
    intents: list[Intent] = [_entry(script, number)]
    if script.name == "maker" and number >= MAKER_SECOND_THOUGHT:
        intents += _second_thought(script, number - MAKER_SECOND_THOUGHT)
    if script.name == "maker" and number >= MAKER_PATIENCE:
        intents.append(_cancel(script, number - MAKER_PATIENCE))
    return intents


def _entry(script: Script, number: int) -> Place:
    dice = random.Random(f"{script.seed}:{script.name}:{number}")  # noqa: S311 - a seeded demo
    symbol = dice.choice(sorted(script.prices))
    side: Literal["buy", "sell"] = dice.choice(("buy", "sell"))
    pair = symbol.partition(":")[0]
    quantity = LOTS[pair] * dice.randint(*SIZES[pair])
    price: Decimal | None = None
    if script.name != "taker":
        # The maker asks for less than the market gives, the chaser for a little more, so that most of it trades.
        away = Decimal(dice.randint(1, 60) if script.name == "maker" else -dice.randint(5, 80)) / 10_000
        factor = 1 - away if side == "buy" else 1 + away
        price = (script.prices[symbol] * factor).quantize(TICK)
    return Place(
        account=script.account,
        strategy=script.name,
        signal_id=f"signal-{number}",
        signal_time=_moment(script, number),
        symbol=symbol,
        side=side,
        type="market" if price is None else "limit",
        quantity=quantity,
        price=price,
        time_in_force="ioc" if script.name == "chaser" else "gtc",
        post_only=script.name == "maker" and dice.random() < 0.2,
    )


def last_words(script: Script) -> Sequence[Intent]:
    """What a strategy says at its end: the maker takes back what still rests."""
    if script.name != "maker":
        return []
    return [_cancel(script, number) for number in range(max(0, script.signals - MAKER_PATIENCE), script.signals)]


def react(script: Script, order: OrderChanged) -> Place | None:
    """Leave what an entry got, once it has ended.

    Args:
        script: of the chaser; the others do not react.
        order: how one of its orders stands.
    """
    kind, _, number = order.signal_id.partition("-")
    if script.name != "chaser" or kind != "signal" or order.status not in TERMINAL or not order.filled:
        return None
    [entry] = signal(script, int(number))
    assert isinstance(entry, Place)
    return Place(
        account=script.account,
        strategy=script.name,
        signal_id=f"exit-{number}",
        signal_time=entry.signal_time,
        symbol=entry.symbol,
        side="sell" if entry.side == "buy" else "buy",
        type="market",
        quantity=order.filled,
    )


def _second_thought(script: Script, number: int) -> Sequence[Intent]:
    """Amend some of the orders that may rest still: another price, and sometimes more of it."""
    dice = random.Random(f"{script.seed}:{script.name}:{number}:again")  # noqa: S311 - a seeded demo
    entry = _entry(script, number)
    if dice.random() < 0.5 or entry.price is None:
        return []
    return [
        Amend(
            account=script.account, strategy=script.name, signal_id=entry.signal_id, revision=revision,
            signal_time=_moment(script, number + MAKER_SECOND_THOUGHT),
            quantity=entry.quantity * dice.choice((1, 1, 2)),
            price=(entry.price * (1 + Decimal(dice.randint(-20, 20)) / 10_000)).quantize(TICK),
        )
        for revision in range(1, dice.choice((2, 2, 3)))
    ]  # fmt: skip


def _cancel(script: Script, number: int) -> Cancel:
    return Cancel(account=script.account, strategy=script.name, signal_id=f"signal-{number}")


def _moment(script: Script, number: int) -> datetime:
    return script.started_at + timedelta(milliseconds=number * script.pause_ms)
