"""One order's changes as sentences: what happened, and what caused it. Pure."""

from typing import assert_never

from streams import events
from streams.money import text
from streams.schemas import (
    Absent,
    Accepted,
    Command,
    Correction,
    Duplicate,
    Execution,
    Inferred,
    NotSent,
    OrderFact,
    OrderReport,
    Outcome,
    Refused,
    Throttled,
    Unknown,
)


def sentence(change: events.AnyChange) -> str:  # noqa: C901, PLR0911, PLR0912 - one arm per kind of change
    """Say what a change did; each fact of an update is told apart by `fact_sentence`."""
    match change:
        case events.Created(terms=terms, entry=entry):
            return (
                f"became an order of {terms.strategy}, signal {terms.signal_id} (entry {entry or 'unknown'} of intents)"
            )
        case events.Imported():
            return "was found at the venue and got a record: its intent is lost"
        case events.Claimed(command=command, gateway=gateway, token=token):
            return f"{gateway} claimed the {command} (token {token})"
        case events.Ended(status=status, reason=reason):
            return f"{status}: {reason}"
        case events.CancelRequested(who=who):
            return f"a cancel was asked for{f' by {who}' if who else ''}"
        case events.Declined(revision=revision, reason=reason):
            return f"amend {revision} came to nothing: {reason}"
        case events.Tombstone(who=who):
            return f"a cancel{f' by {who}' if who else ''} came before any order: a late place will not trade"
        case events.Doubted(token=token, cause=""):
            return f"unknown: no answer to token {token} within its window"
        case events.Doubted():
            return "unknown: the venue lists it, and what was sent of it is lost here"
        case events.Queued(entry=entry):
            return f"queued again (entry {entry} of intents)"
        case events.Updated(status=status, filled=filled):
            return f"{status}, {filled} filled{_position(change)}{_anomalies(change)}"
        case events.Parked(execution=one, correction=Correction()):
            return f"execution {one.execution_id} was taken back before its order was known; that was parked"
        case events.Parked(execution=one):
            return f"execution {one.execution_id} came before its order was known, and was parked"
        case events.Lapsed(execution_id=one):
            return f"execution {one} waited too long for its order and went to quarantine"
        case events.Reconciled(because=because, findings=findings):
            found = "; ".join(_finding(one) for one in findings) or "nothing"
            return f"a reconciliation ({because}) found {found}"
        case events.Forgotten(month=month):
            return f"the record was removed after its retention; its identity stays spent ({month})"
        case (
            events.Passed()
            | events.Quarantined()
            | events.Switched()
            | events.Clearing()
            | events.Opened()
            | events.Shut()
            | events.Enabled()
            | events.StreamLost()
            | events.StreamWhole()
            | events.Adjusted()
        ):
            return "the account as a whole"
        case _:
            assert_never(change)


def fact_sentence(fact: OrderFact | Command) -> str:
    """Say what one piece of evidence showed."""
    match fact:
        case Execution():
            return f"fill {fact.execution_id}: {_size(fact)}"
        case OrderReport():
            reason = f" ({fact.reason})" if fact.reason else ""
            return f"the venue says order {fact.venue_order_id} is {fact.status}, {text(fact.filled)} filled{reason}"
        case Inferred():
            known = f"{text(fact.filled)} for {text(fact.cost)}"
            return f"the venue counts {known} and does not list all of it: the rest counts provisionally"
        case Correction(execution=gone, instead=instead):
            because = f" ({fact.reason})" if fact.reason else ""
            left = "" if instead is None else f"; instead {instead.execution_id}: {_size(instead)}"
            before = "" if fact.counted else ", which had not come"
            return f"the venue took back fill {gone.execution_id}: {_size(gone)}{before}{left}{because}"
        case Command(kind=kind, token=token, outcome=outcome):
            return f"{kind} by token {token}: {_outcome(outcome)}"
        case _:
            assert_never(fact)


def _finding(one: events.Found) -> str:
    done = f", and did: {one.done}" if one.done else f"; proposed: {one.action}"
    return f"{one.kind} {one.id} ({one.here} here, {one.there} at the venue){done}"


def _size(fill: Execution) -> str:
    fee = "" if fill.fee is None else f", fee {text(fill.fee)} {fill.fee_asset or ''}".rstrip()
    liquidity = {True: ", maker", False: ", taker", None: ""}[fill.maker]
    return f"{fill.side} {text(fill.quantity)} at {text(fill.price)}{liquidity}{fee}"


def _outcome(outcome: Outcome) -> str:  # noqa: PLR0911 - one arm per outcome
    match outcome:
        case Accepted():
            return "accepted"
        case Refused(code=code, reason=reason):
            return f"refused ({code}: {reason})"
        case Duplicate(code=code):
            return f"the venue has it already ({code})"
        case Throttled(retry_after_ms=wait_ms):
            return f"throttled, to be tried after {wait_ms} ms"
        case NotSent(reason=reason):
            return f"not sent: {reason}"
        case Unknown(reason=reason):
            return f"could not tell: {reason}"
        case Absent():
            return "proven absent at the venue"
        case _:
            assert_never(outcome)


def _position(change: events.Updated) -> str:
    return f"; position {change.position} is {change.position_quantity}" if change.position else ""


def _anomalies(change: events.Updated) -> str:
    return f"; anomalies: {', '.join(change.anomalies)}" if change.anomalies else ""
