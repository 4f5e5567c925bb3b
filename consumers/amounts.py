"""Balances and positions: what they must be by what is stored, where the venue's differ, and what hides that. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from consumers.findings import EVERY_ASSET, Draft, Here, Terms, There, VenueOrder
from streams.money import CONTEXT, ZERO, plain, text
from streams.schemas import Execution, OrderReport


def explained(here: Here) -> dict[str, Decimal]:
    """Work out what the account must hold, by asset: what it held beside its fills, and what they moved.

    The position of `BTC/USDT` is a holding of BTC, its cost and profit were paid in USDT. Cost and profit are rounded
    together, so that the cash is exact whatever the average cost was. Of `BTC/USDT:USDT` nothing is held: its wallet
    gets the profit of what was closed, and pays the fees.
    """
    held = dict(here.holdings)

    def add(asset: str, amount: Decimal) -> None:
        held[asset] = CONTEXT.add(held.get(asset, ZERO), amount)

    for key, position in here.positions.items():
        settle = settled_in(key)
        if settle:
            add(settle, position.realized)
            for asset, fee in position.fees.items():
                add(asset, -fee)
            continue
        base, _, quote = key.partition("/")
        add(base, position.quantity)
        add(quote, CONTEXT.subtract(position.realized, position.entry_cost))
        for asset, fee in position.fees.items():
            if asset != base:  # a fee in the base asset has left the quantity already
                add(asset, -fee)
    return {asset: plain(amount) for asset, amount in held.items()}


def opening(here: Here, there: There) -> dict[str, Decimal] | None:
    """What an account held before its first fill, by asset; None when that is recorded or cannot be told now."""
    if here.opened or there.balances is None or not here.quiet:
        return None
    moved = explained(here)
    assets = sorted({*there.balances, *moved})
    return {one: plain(CONTEXT.subtract(there.balances.get(one, ZERO), moved.get(one, ZERO))) for one in assets}


def wallets(here: Here, there: There, terms: Terms) -> Iterator[Draft]:
    """Balances against what the fills and everything beside them add up to."""
    if there.balances is None or not here.opened:
        return
    ours = explained(here)
    margins = _margins(here, terms)
    # Where a position is not the venue's, the wallet of its profit cannot be either.
    drifting = {settled_in(key) for key, *_ in _apart(here, there, terms)}
    for asset in sorted({*ours, *there.balances} - drifting):
        have, real = ours.get(asset, ZERO), there.balances.get(asset, ZERO)
        symbols = here.bases.get(asset, ()) if there.positions is None else ()  # a derivative is held by nobody
        if abs(CONTEXT.subtract(real, have)) <= (margins.get(asset) or _tolerance(here, symbols, terms)):
            continue
        untold = bool(symbols) and asset not in here.holdings and not any(one in here.positions for one in symbols)
        yield Draft(
            kind="unexplained" if untold else "position_drift" if symbols else "balance_drift", subject=asset,
            symbol=symbols[0] if len(symbols) == 1 else "", here=text(have), there=text(real),
            severity="critical" if symbols else "warning", action="adjust", twice=True, held_back=not here.quiet,
            between=_between(have, real, terms.wallet_drift if asset in margins else ZERO),
        )  # fmt: skip


def _margins(here: Here, terms: Terms) -> dict[str, Decimal]:
    """What a wallet that derivatives moved may differ by: the venue rounds an average price and each profit."""
    moved: dict[str, Decimal] = {}
    for key, position in here.positions.items():
        settle = settled_in(key)
        if settle:
            fees = CONTEXT.add(abs(position.realized), abs(position.fees.get(settle, ZERO)))
            moved[settle] = CONTEXT.add(moved.get(settle, ZERO), fees)
    return {asset: max(terms.wallet_drift, CONTEXT.multiply(all_, terms.drift_ratio)) for asset, all_ in moved.items()}


def positions(here: Here, there: There, terms: Terms) -> Iterator[Draft]:
    """Positions as the venue states them against ours, where it keeps positions."""
    for key, have, real in _apart(here, there, terms):
        yield Draft(
            kind="unexplained" if have is None else "position_drift", subject=key, symbol=symbol_of(key),
            here=text(have or ZERO), there=text(real), severity="critical", action="adjust", twice=True,
            held_back=not here.quiet, between=_between(have or ZERO, real),
        )  # fmt: skip


def _between(have: Decimal, real: Decimal, step: Decimal = ZERO) -> str:
    """How far two amounts are apart, in whole steps where the venue rounds what moves them."""
    apart = CONTEXT.subtract(real, have)
    return text(plain(apart.quantize(step, context=CONTEXT) if step else apart))


def _apart(here: Here, there: There, terms: Terms) -> Iterator[tuple[str, Decimal | None, Decimal]]:
    """Positions that are not the venue's: key, our quantity (None where we have no such position), the venue's."""
    if there.positions is None:
        return
    # The venue's were read for the symbols of the settings; of others nothing can be said.
    ours = {
        key: one
        for key, one in here.positions.items()
        if ":" in key and (here.symbols is None or symbol_of(key) in here.symbols)
    }
    for key in sorted({*ours, *there.positions}):
        have = ours[key].quantity if key in ours else None
        real, _ = there.positions.get(key, (ZERO, ZERO))
        lot = here.lots.get(symbol_of(key), ZERO)
        allowed = max(lot, CONTEXT.multiply(abs(have or ZERO), terms.drift_ratio))
        # Less than a lot cannot be traded, so one lot apart is a difference only above it.
        if abs(CONTEXT.subtract(real, have or ZERO)) > allowed:
            yield key, have, real


def withheld(
    draft: Draft, here: Here, there: There, fills: Mapping[VenueOrder, Sequence[Execution]]
) -> tuple[str, ...]:
    """Name what cannot be compared while a finding about executions stands: it would differ by them.

    Args:
        draft: the finding.
        here: our side.
        there: the venue's side.
        fills: what the venue lists of each order.

    Returns:
        Assets, and positions by their keys; `*` for every asset, where nobody can tell what the fees were paid in.
    """
    moved = draft.moved_by
    if moved is None:
        return ()
    symbol, settle = draft.symbol, settled_in(draft.symbol)
    base, _, quote = symbol.partition("/")
    fees = _fees(draft, moved, here, fills.get((moved.venue_symbol, moved.venue_order_id), ()))
    assets = {EVERY_ASSET} if fees is None else {*fees, settle} if settle else {*fees, base, quote}
    keys = {*here.positions, *(there.positions or ())} if settle else ()
    return (*sorted(assets), *sorted(key for key in keys if symbol_of(key) == symbol))


def _fees(draft: Draft, moved: OrderReport | Execution, here: Here, listed: Sequence[Execution]) -> set[str] | None:
    """What the fees of executions that are not counted, or counted and taken back, are paid in; None if unknown."""
    if isinstance(moved, Execution):
        return {moved.fee_asset} if moved.fee_asset else set()
    if draft.kind == "busted":  # they were counted, so the symbol's positions have paid their fees
        return {asset for key, one in here.positions.items() if symbol_of(key) == draft.symbol for asset in one.fees}
    order = here.orders.get(draft.subject)
    if order is not None and order.state.legs:
        return None  # what is missing may be of a leg that this report is not of
    whole = sum((one.quantity for one in listed), ZERO) == moved.filled
    return {one.fee_asset for one in listed if one.fee_asset} if whole else None


def settled_in(key: str) -> str:
    """The asset that a derivative's profit is paid in, `USDT` of `BTC/USDT:USDT:long`; empty for a spot position."""
    _, _, settle = symbol_of(key).partition(":")
    return settle.partition("-")[0]


def symbol_of(key: str) -> str:
    """The symbol of a position's key, `BTC/USDT:USDT` of `BTC/USDT:USDT:long`."""
    symbol, _, side = key.rpartition(":")
    return symbol if side in ("long", "short") else key


def _tolerance(here: Here, symbols: Sequence[str], terms: Terms) -> Decimal:
    """One lot, or the share of what the fills moved where that is more; an asset that is no position is exact."""
    traded = [here.positions[one].quantity for one in symbols if one in here.positions]
    lots = [here.lots[one] for one in symbols if one in here.lots]
    return max([CONTEXT.multiply(abs(sum(traded, ZERO)), terms.drift_ratio), *lots]) if lots else ZERO
