"""Pure: balances of one account, free and locked. Nothing is created or lost here; the exchange says what moves."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

import msgspec

from adapters.simulated.margin import Position
from adapters.simulated.refusals import insufficient_balance

ZERO = Decimal(0)
_UNIT = Decimal("0.00000001")


class Balance(msgspec.Struct, frozen=True):
    """What an account has of one asset: `free` to use, `locked` in open orders."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


class Fees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commission as a share of what is received: 0.001 is ten basis points, Binance's first tier."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")


class Account:
    """The balances of one account and when they last changed (milliseconds)."""

    def __init__(self, name: str, balances: Mapping[str, Decimal]) -> None:
        self.name = name
        self.initial = dict(balances)
        self.balances = {asset: Balance(free=amount) for asset, amount in balances.items()}
        self.updated_ms = 0
        self.may_withdraw = False
        self.positions: dict[tuple[str, str], Position] = {}  # by symbol and position side
        self.hedged = False

    def balance(self, asset: str) -> Balance:
        """What the account has of an asset, nothing when it was never touched."""
        return self.balances.get(asset, Balance())

    def lock(self, asset: str, amount: Decimal) -> None:
        """Set funds aside for an open order.

        Raises:
            Refusal: -2010, when there is too little free.
        """
        have = self.balance(asset)
        if have.free < amount:
            raise insufficient_balance()
        self.balances[asset] = Balance(have.free - amount, have.locked + amount)

    def unlock(self, asset: str, amount: Decimal) -> None:
        """Give back what an order no longer needs."""
        have = self.balance(asset)
        self.balances[asset] = Balance(have.free + amount, have.locked - amount)

    def spend_locked(self, asset: str, amount: Decimal) -> None:
        """Pay from what an order had set aside."""
        have = self.balance(asset)
        self.balances[asset] = Balance(have.free, have.locked - amount)

    def receive(self, asset: str, amount: Decimal) -> None:
        """Add the proceeds of a trade."""
        have = self.balance(asset)
        self.balances[asset] = Balance(have.free + amount, have.locked)


def commission(received: Decimal, rate: Decimal) -> Decimal:
    """What the venue keeps of the proceeds, rounded down to its eight decimals."""
    return (received * rate).quantize(_UNIT, rounding=ROUND_DOWN)
