"""What Binance tells of an account beside the orders of its owner. Pure.

Transfers, funding and what the venue trades for an account (liquidation, auto-deleveraging, settlement of a
delisted contract) change what it holds; the venue's documentation of the private streams names them.

What a gap of the stream hid is not fetched from the lists of incomes, deposits and withdrawals: neither their times nor
their ids are those of the stream's events, so that one change could count twice. The balances tell that it is missing.
"""

from decimal import Decimal
from typing import Final

from adapters.binance.payloads import AccountUpdate, BalanceUpdate, amount, amount_or_none
from streams.errors import BadPayload
from streams.holdings import liquidated
from streams.money import text
from streams.schemas import Adjustment, Cause, Execution, Ignored, PositionSide

# Client order ids of orders that the venue makes itself.
VENUE_MADE: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
_CAUSES: dict[str, Cause] = {
    "DEPOSIT": "transfer",
    "WITHDRAW": "transfer",
    "WITHDRAW_REJECT": "transfer",
    "MARGIN_TRANSFER": "transfer",
    "ADMIN_DEPOSIT": "transfer",
    "ADMIN_WITHDRAW": "transfer",
    "ASSET_TRANSFER": "transfer",
    "COIN_SWAP_DEPOSIT": "transfer",
    "COIN_SWAP_WITHDRAW": "transfer",
    "FUNDING_FEE": "funding",
    "INSURANCE_CLEAR": "liquidation",
    "ADJUSTMENT": "venue",
    "AUTO_EXCHANGE": "venue",
    "MARGIN_TYPE_CHANGE": "venue",
    "OPTIONS_PREMIUM_FEE": "venue",
    "OPTIONS_SETTLE_PROFIT": "venue",
}
_SIDES: dict[str, PositionSide] = {"BOTH": "net", "LONG": "long", "SHORT": "short"}


def transfer(event: BalanceUpdate) -> Adjustment:
    """A deposit, a withdrawal or a transfer between spot accounts; executions have reports of their own."""
    delta = amount(event.delta, "d", least=None)
    at_ms = int(event.cleared_at_ms)
    fact = f"balanceUpdate:{at_ms}:{event.asset}:{text(delta)}"
    return Adjustment(id=fact, cause="transfer", amounts={event.asset: delta}, at_ms=at_ms)


def wallets(event: AccountUpdate) -> Adjustment | Ignored:
    """What changed in the wallets of a margin account for another reason than an order.

    Raises:
        BadPayload: the reason is not on the list of known ones.
    """
    reason = event.told.reason
    if reason == "ORDER":
        return Ignored("the order's own report says what it changed")
    cause = _CAUSES.get(reason)
    if cause is None:
        raise BadPayload(f"reason {reason[:48]!r} of an account update is not on the list of known ones")
    changes: dict[str, Decimal] = {}
    for one in event.told.wallets:
        change = amount_or_none(one.change, "bc", least=None)
        if change:
            changes[one.asset] = change
    if not changes:
        return Ignored(f"{reason} changed no wallet")
    shown = ",".join(f"{asset}:{text(changes[asset])}" for asset in sorted(changes))
    at_ms = int(event.changed_at_ms)
    fact = f"ACCOUNT_UPDATE:{at_ms}:{reason}:{shown}"
    return Adjustment(id=fact, cause=cause, amounts=changes, at_ms=at_ms, reason=reason)


def venue_made(client_order_id: str | None) -> bool:
    """Say whether an order is the venue's own, made to close a position."""
    return client_order_id is not None and client_order_id.startswith(VENUE_MADE)


def closed(execution: Execution, side: str | None) -> Adjustment:
    """What the venue traded for us.

    Raises:
        BadPayload: the position side is unknown.
    """
    return Adjustment(
        id=liquidated(execution), cause="liquidation", at_ms=execution.executed_at_ms, execution=execution,
        position_side=position_side(side), reason=execution.client_order_id or "",
    )  # fmt: skip


def position_side(word: str | None) -> PositionSide:
    """Read a position side; none is the one position of a symbol.

    Raises:
        BadPayload: it is unknown.
    """
    side = _SIDES.get(word or "BOTH")
    if side is None:
        raise BadPayload(f"position side {str(word)[:48]!r} is not on the list of known ones")
    return side
