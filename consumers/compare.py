"""Compare what is stored with what the venue says. Pure: two sides in, findings out.

The venue is asked first and the records are read after it, so that an order it shows is not taken for an orphan
while its record is being written. What rests on absence, or on two numbers that were not read at one moment,
counts only when a second look, far enough from the first, sees the very same difference.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from consumers.amounts import positions, wallets, withheld
from consumers.findings import EVERY_ASSET, Action, Draft, Finding, Here, Row, Severity, Terms, There, VenueOrder
from streams.holdings import liquidated
from streams.identity import is_ours
from streams.legs import executed_more
from streams.lifecycle import DOUBLE, Resubmission, fold
from streams.money import text
from streams.policy import Kind, Policy
from streams.schemas import TERMINAL, Execution, Order, OrderReport

LIVE = ("open", "partially_filled")
# The venue has them, or may have them; `created` was never sent.
SENT = ("submitting", "unknown", *LIVE)
_NO_RESUBMISSION = Resubmission(allowed=False, now_ms=0)  # of commands; no report asks for it
# While trading moves both amounts, two looks could meet the same fill on its way; many in a row could not.
MANY_GAPS = 8
_GRAVE: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


def compare(here: Here, there: There, terms: Terms, seen: Mapping[str, int]) -> list[Finding]:
    """Find every difference.

    Args:
        here: our side, read after the venue answered.
        there: the venue's side.
        terms: thresholds and policies.
        seen: what `remember` made of the looks before this one.

    Returns:
        Findings, the gravest first; equal sides give none.
    """
    orders = list(_orders(here, there, terms))
    told = {one.subject for one in orders if one.kind in ("stale_fill", "double")}
    orders += [one for one in _executions(here, there, terms) if one.subject not in told]
    fills = _by_order(there)
    # Executions that are known to be missing come first: they may be the whole difference of a balance.
    holds = [withheld(one, here, there, fills) for one in orders]
    unclear = {name for names in holds for name in names}
    amounts = [] if EVERY_ASSET in unclear else list(wallets(here, there, terms))
    amounts = [one for one in (*amounts, *positions(here, there, terms)) if one.subject not in unclear]
    drafts = [*zip(orders, holds, strict=True), *((one, ()) for one in (*_ghosts(here, there), *amounts))]
    found = [_found(draft, names, there.asked_at_ms, terms, seen) for draft, names in drafts]
    findings = {one.id: one for one in found}
    return sorted(findings.values(), key=lambda one: (_GRAVE[one.severity], one.kind, one.subject, one.id))


def remember(findings: Sequence[Finding], seen: Mapping[str, int], now_ms: int) -> dict[str, int]:
    """What the next look must know: when each difference was seen first, and when first with these very figures."""
    figures = {name: min(seen.get(name, now_ms), now_ms) for name in map(_name, findings)}
    return figures | {one.id: one.first_seen_ms for one in findings}


def moves_amounts(found: Sequence[Finding]) -> bool:
    """Whether putting any of this right could move a position or a balance, now or when it trades on."""
    return any(one.action in ("apply", "adopt", "book", "correct") for one in found)


def _found(draft: Draft, holds: tuple[str, ...], now_ms: int, terms: Terms, seen: Mapping[str, int]) -> Finding:
    exactly = _name(draft)
    name = _named(draft.kind, draft.subject, draft.between) if draft.between else exactly
    first = min(seen.get(name, now_ms), now_ms)
    if draft.twice:
        again = now_ms - min(seen.get(exactly, now_ms), now_ms) >= terms.gap_ms
        late_enough = again or now_ms - first >= MANY_GAPS * terms.gap_ms
    else:
        late_enough = now_ms - draft.told_at_ms >= terms.grace_ms
    return Finding(
        id=name, kind=draft.kind, subject=draft.subject, here=draft.here, there=draft.there, severity=draft.severity,
        action=draft.action, evidence=draft.evidence, symbol=draft.symbol, strategy=draft.strategy,
        first_seen_ms=first, age_ms=now_ms - first, confirmed=late_enough and not draft.held_back,
        holds=holds,
    )  # fmt: skip


def _name(one: Draft | Finding) -> str:
    return _named(one.kind, one.subject, one.here, one.there, *one.evidence)


def _named(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _by_order(there: There) -> dict[VenueOrder, list[Execution]]:
    found: dict[VenueOrder, list[Execution]] = {}
    for fill, _ in there.executions:
        found.setdefault((fill.venue_symbol, fill.venue_order_id), []).append(fill)
    return found


def _orders(here: Here, there: There, terms: Terms) -> Iterator[Draft]:
    for report, row in there.reports:
        if _venue_made(report, terms):
            continue  # what it traded is booked, execution by execution; it is nobody's order
        order = _owner(here, report)
        if order is None or order.terms is None:
            draft = _stranger(report, row, order, here, terms)
        elif DOUBLE in order.state.anomalies and report.venue_order_id in order.state.venue_order_ids:
            draft = _second(report, row, order)  # what each of two orders says contradicts the other
        else:
            draft = _known(report, row, order, there.asked_at_ms, terms)
        if draft is not None:
            yield draft


def _venue_made(report: OrderReport, terms: Terms) -> bool:
    return bool(terms.own_ids) and (report.client_order_id or "").startswith(terms.own_ids)


def _owner(here: Here, report: OrderReport) -> Order | None:
    mapped = here.owners.get((report.venue_symbol, report.venue_order_id))
    return here.orders.get(mapped or report.client_order_id or "")


def _stranger(report: OrderReport, row: Row, tombstone: Order | None, here: Here, terms: Terms) -> Draft | None:
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
    return Draft(
        kind="orphan", subject=name or report.venue_order_id, symbol=row.symbol,
        here="no record" if tombstone is None else "cancelled before it came",
        there=f"{'ours' if ours else 'foreign'}, {_said(report)}", evidence=(report.venue_order_id,),
        severity="critical" if ours else "info" if action == "leave" else "warning", action=action,
        moved_by=report if report.filled and action != "leave" else None,
    )  # fmt: skip


def _known(report: OrderReport, row: Row, order: Order, now_ms: int, terms: Terms) -> Draft | None:
    state = order.state
    if state.venue_order_ids and report.venue_order_id not in state.venue_order_ids:
        # One that an amend made tells so by its name; two orders of one name are two orders.
        known = report.generation in {leg.generation for leg in state.legs} | {0}
        return _of(report, row, order, "double" if known else "status_drift", "apply", moves=bool(report.filled))
    outdated = report.reported_at_ms < state.reported_at_ms
    on_its_way = (order.status == "submitting" or order.amend is not None) and now_ms <= order.send_by_ms
    if outdated or on_its_way:
        return None
    missed = executed_more(state, report)
    if missed or (not state.legs and report.filled < state.filled):
        kind, action = ("stale_fill", "apply") if missed else ("busted", "correct")
        told_at_ms = report.reported_at_ms
        return _of(report, row, order, kind, action, twice=not missed, told_at_ms=told_at_ms, moves=True)  # type: ignore[arg-type]  # words of their own
    # What the venue's word would make of the record is what the ledger will make of it.
    after = fold(order, report, _NO_RESUBMISSION)
    if report.status in LIVE and order.status in TERMINAL and report.generation == order.generation:
        return _zombie(report, row, order, after, terms)
    if after.status != order.status:
        return _of(report, row, order, "status_drift", "apply", told_at_ms=report.reported_at_ms)
    return None


def _second(report: OrderReport, row: Row, order: Order) -> Draft | None:
    """The newer of two orders under one id, while it lives: its executions count, and it is not to have more."""
    known = {leg.venue_order_id for leg in order.state.legs} or {*order.state.venue_order_ids[:1]}
    if report.status not in LIVE or report.venue_order_id in known:
        return None
    return _of(report, row, order, "double", "cancel")


def _zombie(report: OrderReport, row: Row, order: Order, after: Order, terms: Terms) -> Draft:
    by = terms.policies.by
    policy = by.get(_strategy(order), by.get(row.symbol, terms.policies.ours))
    # What only we ended is corrected by the venue's word; what the venue itself ended cannot live again here.
    theirs = after.status in TERMINAL
    action: Action = policy if policy != "adopt" else "person" if theirs else "apply"
    return _of(report, row, order, "zombie", action, twice=theirs)


def _of(
    report: OrderReport, row: Row, order: Order, kind: Kind, action: Action, *, twice: bool = False,
    told_at_ms: int = 0, moves: bool = False,
) -> Draft:  # fmt: skip
    return Draft(
        kind=kind, subject=order.client_order_id, symbol=row.symbol, strategy=_strategy(order), here=_shown(order),
        there=_said(report), evidence=(report.venue_order_id,),
        severity="warning" if kind == "status_drift" else "critical", action=action, twice=twice, told_at_ms=told_at_ms,
        moved_by=report if moves else None,
    )  # fmt: skip


def _executions(here: Here, there: There, terms: Terms) -> Iterator[Draft]:
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


def _missed(fill: Execution, row: Row, order: Order) -> Draft:
    return Draft(
        kind="stale_fill", subject=order.client_order_id, symbol=row.symbol,
        strategy=_strategy(order), here=_shown(order),
        there=f"executed {text(fill.quantity)} at {text(fill.price)}", evidence=(fill.execution_id,),
        severity="critical", action="apply", told_at_ms=fill.executed_at_ms, moved_by=fill,
    )  # fmt: skip


def _unbooked(fill: Execution, row: Row, report: OrderReport) -> Draft:
    return Draft(
        kind="stale_fill", subject=report.client_order_id or report.venue_order_id, symbol=row.symbol,
        here="not booked", there=f"{fill.side} {text(fill.quantity)} at {text(fill.price)} by the venue itself",
        evidence=(fill.execution_id,), severity="critical", action="book", told_at_ms=fill.executed_at_ms,
        moved_by=fill,
    )  # fmt: skip


def _ghosts(here: Here, there: There) -> Iterator[Draft]:
    """Orders of ours that the venue does not know, neither among the open ones nor by their id."""
    for name in sorted(there.absent):
        order = here.orders.get(name)
        if order is None or order.status not in SENT:
            continue
        doubted = order.status in ("submitting", "unknown")
        yield Draft(
            kind="ghost", subject=name, symbol=order.terms.symbol if order.terms else "",
            strategy=_strategy(order), here=_shown(order), there="not known",
            evidence=order.state.venue_order_ids, severity="warning" if doubted else "critical",
            # An unknown order has its one way out, the resolver; one that the venue once named and now denies is the
            # venue's contradiction.
            action="wait" if doubted else "person", twice=True,
        )  # fmt: skip


def _strategy(order: Order) -> str:
    return order.terms.strategy if order.terms else ""


def _shown(order: Order) -> str:
    return f"{order.status}, filled {text(order.state.filled)}"


def _said(report: OrderReport) -> str:
    return f"{report.status}, executed {text(report.filled)}"
