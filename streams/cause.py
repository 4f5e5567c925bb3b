"""What caused a change: an entry, evidence, a finding, a rule, a person. Pure.

The journal names a cause in every kind of change; here each is put into one sentence, for `trace` and for auditors.
"""

from collections.abc import Sequence
from typing import assert_never

from streams import events
from streams.schemas import from_ms


def cause(change: events.AnyChange) -> str:  # noqa: C901, PLR0911, PLR0912 - one arm per kind of change
    """Say what caused a change; empty only where an older version wrote it and named nothing."""
    match change:
        case events.Created(entry=entry):
            return _intent(entry)
        case events.CancelRequested(entry=entry, who=who) | events.Tombstone(entry=entry, who=who):
            return _intent(entry, who)
        case events.Claimed(gateway=gateway, command=command, entry=entry):
            return f"{gateway}, by {_intent(entry) or f'the {command} of the order'}"
        case events.Ended(reason=reason):
            return reason
        case events.Declined(reason=reason, entry=entry):
            return ", ".join(filter(None, (reason, _intent(entry))))
        case events.Imported(cause=why):
            return _why(why)
        case events.Doubted(token=token, cause=why):
            return _why(why) or f"the send window of token {token} closed without an answer"
        case events.Queued(lost=lost):
            return f"entry {lost} of intents is gone" if lost else ""
        case events.Updated(evidence=names):
            return _evidence(names)
        case events.Parked(evidence=name) | events.Adjusted(evidence=name):
            return _evidence((name,))
        case events.Passed(evidence=name, reason=reason):
            return f"{_evidence((name,))}: {reason}"
        case events.Lapsed(since_ms=since_ms):
            return f"it had waited since {_moment(since_ms)}" if since_ms else ""
        case events.Reconciled(because=because):
            return because
        case events.Quarantined(stream=stream, entry=entry, reason=reason):
            return f"entry {entry} of {stream}: {reason}"
        case events.Forgotten(ended_ms=ended_ms):
            return f"its retention was over; its last commit was at {_moment(ended_ms)}" if ended_ms else ""
        case events.Switched(who=who, reason=reason) | events.Clearing(who=who, reason=reason):
            return f"{who}: {reason}"
        case events.Opened(history=history):
            return f"venue and records were compared under history {history} of the server"
        case events.Shut(history=history):
            return f"history {history} of the server came back after another one had served"
        case events.Enabled(entry=entry) | events.StreamWhole(entry=entry):
            return f"everything until entry {entry} of evidence is applied" if entry else ""
        case events.StreamLost(reason=reason):
            return reason
        case _:
            assert_never(change)


def _intent(entry: str, who: str = "") -> str:
    """Name an intent, and whoever asked by it."""
    return ", asked for by ".join(filter(None, (f"entry {entry} of intents" if entry else "", who)))


def _evidence(names: Sequence[str]) -> str:
    return f"{'entry' if len(names) == 1 else 'entries'} {', '.join(names)} of evidence" if any(names) else ""


def _why(why: str) -> str:
    match why:
        case "":
            return ""
        case "history":
            return "the server's history changed, and the venue lists it"
        case _:
            return f"finding {why} of a reconciliation"


def _moment(at_ms: int) -> str:
    return from_ms(at_ms).isoformat(timespec="milliseconds")
