"""Compare what is stored with what the venue says. Pure: two sides in, findings out.

The venue is asked first and the records are read after it, so that an order it shows is not taken for an orphan
while its record is being written. What rests on absence, or on two numbers that were not read at one moment,
counts only when a second look, far enough from the first, sees the very same difference.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from consumers.findings import Action, Finding, Here, Row, Severity, Terms, There
from streams.holdings import liquidated
from streams.identity import is_ours
from streams.legs import executed_more
from streams.lifecycle import DOUBLE, Resubmission, fold
from streams.money import CONTEXT, ZERO, plain, text
from streams.policy import Kind, Policy
from streams.schemas import TERMINAL, Execution, Order, OrderReport

LIVE = ("open", "partially_filled")
# The venue has them, or may have them; `created` was never sent.
SENT = ("submitting", "unknown", *LIVE)
_NO_RESUBMISSION = Resubmission(allowed=False, now_ms=0)  # of commands; no report asks for it
_GRAVE: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


def compare(here: Here, there: There, terms: Terms, seen: Mapping[str, int]) -> list[Finding]:
    """Find every difference.

    Args:
        here: our side, read after the venue answered.
        there: the venue's side.
        terms: thresholds and policies.
        seen: finding id -> when it was seen first, of the looks before this one.

    Returns:
        Findings, the gravest first; equal sides give none.
    """
    orders = list(_orders(here, there, terms))
    told = {one.subject for one in orders if one.kind in ("stale_fill", "double")}
    orders += [one for one in _executions(here, there, terms) if one.subject not in told]
    # Executions that are known to be missing come first: they may be the whole difference of a balance.
    amounts = [] if moves_amounts(orders) else [*_amounts(here, there, terms), *_positions(here, there, terms)]
    drafts = [*orders, *_ghosts(here, there), *amounts]
    findings = {one.id: one for one in (_found(draft, there.asked_at_ms, terms, seen) for draft in drafts)}
    return sorted(findings.values(), key=lambda one: (_GRAVE[one.severity], one.kind, one.subject, one.id))


def moves_amounts(found: Sequence["_Draft"] | Sequence[Finding]) -> bool:
    """Whether putting any of this right would move a position or a balance."""
    return any(one.action in ("apply", "adopt", "book", "correct") for one in found)


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


class _Draft(Struct, frozen=True, kw_only=True):
    """A finding before its times; `told_at_ms` is the venue's time of what it rests on, where that is recent."""

    kind: Kind
    subject: str
    here: str
    there: str
    severity: Severity
    action: Action
    evidence: tuple[str, ...] = ()
    symbol: str = ""
    strategy: str = ""
    twice: bool = False
    held_back: bool = False
    told_at_ms: int = 0


def _found(draft: _Draft, now_ms: int, terms: Terms, seen: Mapping[str, int]) -> Finding:
    parts = "\n".join((draft.kind, draft.subject, draft.here, draft.there, *draft.evidence))
    name = hashlib.sha256(parts.encode()).hexdigest()[:24]
    first = min(seen.get(name, now_ms), now_ms)
    late_enough = now_ms - first >= terms.gap_ms if draft.twice else now_ms - draft.told_at_ms >= terms.grace_ms
    return Finding(
        id=name, kind=draft.kind, subject=draft.subject, here=draft.here, there=draft.there, severity=draft.severity,
        action=draft.action, evidence=draft.evidence, symbol=draft.symbol, strategy=draft.strategy,
        first_seen_ms=first, age_ms=now_ms - first, confirmed=late_enough and not draft.held_back,
    )  # fmt: skip


def _orders(here: Here, there: There, terms: Terms) -> Iterator[_Draft]:
    for report, row in there.reports:
        if _venue_made(report, terms):
            continue  # what it traded is booked, execution by execution; it is nobody's order
        order = _owner(here, report)
        if order is None or order.terms is None:
            draft = _stranger(report, row, order, here, terms)
        else:
            draft = _known(report, row, order, there.asked_at_ms, terms)
        if draft is not None:
            yield draft


def _venue_made(report: OrderReport, terms: Terms) -> bool:
    return bool(terms.own_ids) and (report.client_order_id or "").startswith(terms.own_ids)


def _owner(here: Here, report: OrderReport) -> Order | None:
    mapped = here.owners.get((report.venue_symbol, report.venue_order_id))
    return here.orders.get(mapped or report.client_order_id or "")


def _stranger(report: OrderReport, row: Row, tombstone: Order | None, here: Here, terms: Terms) -> _Draft | None:
    """An order at the venue without a record here."""
    name = report.client_order_id or ""
    ours, live = is_ours(name, terms.id_rule), report.status in LIVE
    # A foreign order that ended is history; one of ours was forgotten in its time, or is missing.
    if not live and (not ours or name in here.spent):
        return None
    policies = terms.policies
    action: Policy = policies.by.get(row.symbol, policies.ours if ours else policies.foreign)
    if action == "cancel" and not live:
        action = "adopt"  # what it executed counts all the same
    return _Draft(
        kind="orphan", subject=name or report.venue_order_id, symbol=row.symbol,
        here="no record" if tombstone is None else "cancelled before it came",
        there=f"{'ours' if ours else 'foreign'}, {_said(report)}", evidence=(report.venue_order_id,),
        severity="critical" if ours else "info" if action == "leave" else "warning", action=action,
    )  # fmt: skip


def _known(report: OrderReport, row: Row, order: Order, now_ms: int, terms: Terms) -> _Draft | None:
    state = order.state
    if state.venue_order_ids and report.venue_order_id not in state.venue_order_ids:
        # One that an amend made tells so by its name; two orders of one name are two orders.
        known = report.generation in {leg.generation for leg in state.legs} | {0}
        return _of(report, row, order, "double" if known else "status_drift", "apply")
    told = DOUBLE in state.anomalies  # two orders under one id: what each of them says contradicts the other
    outdated = report.reported_at_ms < state.reported_at_ms
    on_its_way = (order.status == "submitting" or order.amend is not None) and now_ms <= order.send_by_ms
    if told or outdated or on_its_way:
        return None
    missed = executed_more(state, report)
    if missed or (not state.legs and report.filled < state.filled):
        kind, action = ("stale_fill", "apply") if missed else ("busted", "correct")
        return _of(report, row, order, kind, action, twice=not missed, told_at_ms=report.reported_at_ms)  # type: ignore[arg-type]  # words of their own
    # What the venue's word would make of the record is what the ledger will make of it.
    after = fold(order, report, _NO_RESUBMISSION)
    if report.status in LIVE and order.status in TERMINAL and report.generation == order.generation:
        return _zombie(report, row, order, after, terms)
    if after.status != order.status:
        return _of(report, row, order, "status_drift", "apply", told_at_ms=report.reported_at_ms)
    return None


def _zombie(report: OrderReport, row: Row, order: Order, after: Order, terms: Terms) -> _Draft:
    by = terms.policies.by
    policy = by.get(_strategy(order), by.get(row.symbol, terms.policies.ours))
    # What only we ended is corrected by the venue's word; what the venue itself ended cannot live again here.
    theirs = after.status in TERMINAL
    action: Action = policy if policy != "adopt" else "person" if theirs else "apply"
    return _of(report, row, order, "zombie", action, twice=theirs)


def _of(
    report: OrderReport, row: Row, order: Order, kind: Kind, action: Action, *, twice: bool = False, told_at_ms: int = 0
) -> _Draft:
    return _Draft(
        kind=kind, subject=order.client_order_id, symbol=row.symbol, strategy=_strategy(order), here=_shown(order),
        there=_said(report), evidence=(report.venue_order_id,),
        severity="warning" if kind == "status_drift" else "critical", action=action, twice=twice, told_at_ms=told_at_ms,
    )  # fmt: skip


def _executions(here: Here, there: There, terms: Terms) -> Iterator[_Draft]:
    """Executions the venue lists and no record has; those of strangers come with their orders."""
    reports = {(one.venue_symbol, one.venue_order_id): one for one, _ in there.reports}
    for fill, row in there.executions:
        report = reports.get((fill.venue_symbol, fill.venue_order_id))
        if report is not None and _venue_made(report, terms):
            if liquidated(fill) not in here.booked:
                yield _unbooked(fill, row, report)
            continue
        owner = here.owners.get((fill.venue_symbol, fill.venue_order_id))
        order = here.orders.get(owner) if owner else _owner(here, report) if report else None
        if order is not None and (order.client_order_id, fill.execution_id) not in here.executions:
            yield _missed(fill, row, order)


def _missed(fill: Execution, row: Row, order: Order) -> _Draft:
    return _Draft(
        kind="stale_fill", subject=order.client_order_id, symbol=row.symbol,
        strategy=_strategy(order), here=_shown(order),
        there=f"executed {text(fill.quantity)} at {text(fill.price)}", evidence=(fill.execution_id,),
        severity="critical", action="apply", told_at_ms=fill.executed_at_ms,
    )  # fmt: skip


def _unbooked(fill: Execution, row: Row, report: OrderReport) -> _Draft:
    return _Draft(
        kind="stale_fill", subject=report.client_order_id or report.venue_order_id, symbol=row.symbol,
        here="not booked", there=f"{fill.side} {text(fill.quantity)} at {text(fill.price)} by the venue itself",
        evidence=(fill.execution_id,), severity="critical", action="book", told_at_ms=fill.executed_at_ms,
    )  # fmt: skip


def _ghosts(here: Here, there: There) -> Iterator[_Draft]:
    """Orders of ours that the venue does not know, neither among the open ones nor by their id."""
    for name in sorted(there.absent):
        order = here.orders.get(name)
        if order is None or order.status not in SENT:
            continue
        doubted = order.status in ("submitting", "unknown")
        yield _Draft(
            kind="ghost", subject=name, symbol=order.terms.symbol if order.terms else "",
            strategy=_strategy(order), here=_shown(order), there="not known",
            evidence=order.state.venue_order_ids, severity="warning" if doubted else "critical",
            # An unknown order has its one way out, the resolver; one that the venue once named and now denies is the
            # venue's contradiction.
            action="wait" if doubted else "person", twice=True,
        )  # fmt: skip


def _amounts(here: Here, there: There, terms: Terms) -> Iterator[_Draft]:
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
        yield _Draft(
            kind="unexplained" if untold else "position_drift" if symbols else "balance_drift", subject=asset,
            symbol=symbols[0] if len(symbols) == 1 else "", here=text(have), there=text(real),
            severity="critical" if symbols else "warning", action="adjust", twice=True, held_back=not here.quiet,
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


def _positions(here: Here, there: There, terms: Terms) -> Iterator[_Draft]:
    """Positions as the venue states them against ours, where it keeps positions."""
    for key, have, real in _apart(here, there, terms):
        yield _Draft(
            kind="unexplained" if have is None else "position_drift", subject=key, symbol=symbol_of(key),
            here=text(have or ZERO), there=text(real), severity="critical", action="adjust", twice=True,
            held_back=not here.quiet,
        )  # fmt: skip


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


def _strategy(order: Order) -> str:
    return order.terms.strategy if order.terms else ""


def _shown(order: Order) -> str:
    return f"{order.status}, filled {text(order.state.filled)}"


def _said(report: OrderReport) -> str:
    return f"{report.status}, executed {text(report.filled)}"
