"""State from the journal: the fold of `events`, in memory. Pure.

Uses the same `fold` and `moves` as the ledger, so live processing and rebuilding cannot disagree by design;
where they do, the change's own id (the digest it was written with) shows the first entry that parts.
"""

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import assert_never

from msgspec import Struct

from streams import codec, events
from streams.corrections import Move, marks, moves, waits_as
from streams.holdings import adjusted, texts
from streams.keys import AccountKeys
from streams.lifecycle import Resubmission, fold
from streams.position import Traded, back, settled, step
from streams.record import FIELDS, NEW_STATE_TEXT, to_order, to_position
from streams.schemas import Adjustment, Command, Correction, Execution, Order, Position

# Fields of a record that are transport: they make a repeated call find its answer, and no state depends on them.
TRANSPORT = frozenset({"call", "settled", "cancel_settled", "cancel_entry", "retry", "early"})

Hash = dict[str, str]


class Parting(Struct, frozen=True):
    """The first entry after which the fold and what was written differ."""

    entry: str
    client_order_id: str
    reason: str


class Rebuilt:
    """What the journal says so far.

    Attributes:
        hashes: key -> fields, of orders, positions and parked executions.
        texts: key -> value, of mappings from venue order ids.
        parted: where fold and journal part, if they do.
        entries: how many journal entries were folded.
    """

    def __init__(self, keys: AccountKeys) -> None:
        """Begin with nothing."""
        self.hashes: dict[str, Hash] = {}
        self.texts: dict[str, str] = {}
        self.parted: Parting | None = None
        self.entries = 0
        self._keys = keys
        self._mapped: dict[str, set[str]] = {}  # client order id -> keys that point at its record
        self._last: dict[str, str] = {}  # order or position key -> the entry that last changed it

    def apply(self, entry_id: str, entry: events.JournalEntry) -> None:
        """Fold one entry of `events`."""
        self.entries += 1
        moved: set[str] = set()
        for change in entry.changes:
            self._apply(entry_id, change, moved)
        for key in sorted(moved):
            # One call chains a position once, over all its orders of that call.
            fields = self.hashes[key]
            fields["digest"] = codec.chain(fields.get("digest", ""), "position", fields["state"])

    def last_entry(self, key: str) -> str:
        """Name the entry that last changed a key; empty when none did."""
        return self._last.get(key, "")

    def order(self, client_order_id: str) -> Order | None:
        """One order as the journal has it."""
        fields = self.hashes.get(self._keys.order(client_order_id), {})
        return to_order(self._keys.account, client_order_id, [_bytes(fields.get(name)) for name in FIELDS])

    def orders(self) -> Iterator[Order]:
        """Every order."""
        prefix = self._keys.order("")
        for key in self.hashes:
            if key.startswith(prefix):
                order = self.order(self._keys.order_id(key))
                if order is not None:
                    yield order

    def positions(self) -> dict[str, Position]:
        """Every position, by symbol (and side)."""
        prefix = self._keys.position("")
        return {
            key.removeprefix(prefix): to_position([_bytes(fields.get("state")), None])[0]
            for key, fields in self.hashes.items()
            if key.startswith(prefix)
        }

    def _apply(self, entry_id: str, change: events.AnyChange, moved: set[str]) -> None:
        match change:
            case events.Updated():
                self._update(entry_id, change, moved)
            case events.Parked(execution=one, correction=correction):
                key, waiting = self._keys.parked(one.venue_symbol, one.venue_order_id), correction or one
                self.hashes.setdefault(key, {})[waits_as(waiting)[0]] = codec.encode_text(waiting)
            case events.Lapsed():
                self._lapse(change)
            case events.Forgotten():
                self._forget(change.client_order_id)
            case events.Adjusted():
                self._adjust(entry_id, change.adjustment)
                if change.adjustment.execution is not None:
                    key = self._keys.position(change.symbol, change.adjustment.position_side)
                    self._move(key, change, Move(change.adjustment.execution), moved)
                    self._unpark(change.adjustment.execution)
            case (
                events.Passed()
                | events.Reconciled()
                | events.Quarantined()
                | events.Switched()
                | events.Clearing()
                | events.Opened()
                | events.Shut()
                | events.Enabled()
                | events.StreamLost()
                | events.StreamWhole()
            ):
                pass  # nothing of an order
            case _:
                key = self._keys.order(change.client_order_id)
                self.hashes.setdefault(key, {}).update(_fields(change))
                self._last[key] = entry_id

    def _adjust(self, entry_id: str, adjustment: Adjustment) -> None:
        key = self._keys.holdings
        fields = self.hashes.setdefault(key, {})
        held = {asset: Decimal(amount) for asset, amount in fields.items() if not asset.startswith(":")}
        fields.update({asset: after for asset, _, after in texts(adjusted(held, adjustment))})
        fields[f":{adjustment.id}"] = "1"
        self._last[key] = entry_id

    def _lapse(self, change: events.Lapsed) -> None:
        self._leave(self._keys.parked(*change.venue_order.split(":", 1)), change.execution_id)

    def _unpark(self, one: Execution) -> None:
        self._leave(self._keys.parked(one.venue_symbol, one.venue_order_id), one.execution_id)

    def _leave(self, key: str, execution_id: str) -> None:
        waiting = self.hashes.get(key, {})
        waiting.pop(execution_id, None)
        if not waiting:
            self.hashes.pop(key, None)

    def _forget(self, client_order_id: str) -> None:
        key = self._keys.order(client_order_id)
        self.hashes.pop(key, None)
        for mapped in self._mapped.pop(client_order_id, ()):
            self.texts.pop(mapped, None)

    def _update(self, entry_id: str, change: events.Updated, moved: set[str]) -> None:
        key = self._keys.order(change.client_order_id)
        order = self.order(change.client_order_id)
        if order is None:
            self._part(entry_id, change.client_order_id, "the journal moves an order it never created")
            return
        fields, previous = self.hashes[key], order.digest
        again = Resubmission(change.resubmission_allowed, change.now_ms)
        for fact in change.facts:
            for one in moves(order, fact):
                assert order.terms is not None
                place = self._keys.position(order.terms.symbol, order.terms.position_side)
                self._move(place, order.terms, one, moved)
            order = fold(order, fact, again)
            if isinstance(fact, Execution):
                fields[fact.execution_id] = "1"
            elif isinstance(fact, Correction):
                fields.update(dict.fromkeys(marks(fact), "1"))
            if not isinstance(fact, Command):
                mapped = self._keys.venue_order(fact.venue_symbol, fact.venue_order_id)
                self.texts[mapped] = change.client_order_id
                self._mapped.setdefault(change.client_order_id, set()).add(mapped)
                self.hashes.pop(self._keys.parked(fact.venue_symbol, fact.venue_order_id), None)
        state = codec.encode_text(order.state)
        digest = codec.chain(previous, order.status, state)
        fields.update(status=order.status, state=state, digest=digest)
        if order.amend is None:
            fields.pop("amend", None)
        if order.state.revision > int(fields.get("revision", 0)):
            fields["revision"] = str(order.state.revision)
        self._last[key] = entry_id
        if digest != change.id:
            self._part(entry_id, change.client_order_id, "folding its facts again gives another state")

    def _move(self, key: str, terms: Traded, one: Move, moved: set[str]) -> None:
        fields = self.hashes.setdefault(key, {})
        before, _ = to_position([_bytes(fields.get("state")), None])
        after = (back if one.back else step)(before, terms, one.execution)
        fields["state"] = codec.encode_text(settled(after))
        moved.add(key)

    def _part(self, entry_id: str, client_order_id: str, reason: str) -> None:
        if self.parted is None:
            self.parted = Parting(entry_id, client_order_id, reason)


def digest(hashes: dict[str, Hash], texts: dict[str, str]) -> str:
    """One hash over a whole account's state; equal states have equal hashes."""
    total = hashlib.sha256()
    for key in sorted(hashes):
        total.update(codec.encode([key, sorted(hashes[key].items())]))
    for key in sorted(texts):
        total.update(codec.encode([key, texts[key]]))
    return total.hexdigest()


def _fields(change: events.AnyChange) -> Hash:  # noqa: C901, PLR0911, PLR0912 - one arm per kind of change
    match change:
        case events.Created():
            return {
                "terms": codec.encode_text(change.terms), "status": "created", "state": NEW_STATE_TEXT,
                "digest": change.id, "fingerprint": change.fingerprint, "entry": change.entry,
                "valid_until": str(change.valid_until_ms),
            }  # fmt: skip
        case events.Imported():
            return {
                "terms": codec.encode_text(change.terms), "status": "unknown", "state": NEW_STATE_TEXT,
                "digest": change.id, "fingerprint": "", "valid_until": str(change.valid_until_ms),
            }  # fmt: skip
        case events.Claimed(command="cancel"):
            return {"cancel_token": change.token, "cancel_by": str(change.send_by_ms)}
        case events.Claimed(command="amend"):
            return {
                "token": change.token, "send_by": str(change.send_by_ms), "amend": codec.encode_text(change.sent),
                "revision": change.sent["revision"], "revised": change.sent["fingerprint"],
            }  # fmt: skip
        case events.Declined():
            return {"revision": str(change.revision), "revised": change.fingerprint}
        case events.Claimed():
            sent = codec.encode_text(change.sent)
            return {"status": "submitting", "token": change.token, "send_by": str(change.send_by_ms), "sent": sent}
        case events.Ended():
            return {"status": change.status, "refusal": codec.encode_text(change.reason)}
        case events.CancelRequested():
            return {"cancel": "1"}
        case events.Tombstone():
            birth = codec.birth_digest(change.client_order_id, "", NEW_STATE_TEXT)
            return {"status": "cancelled", "state": NEW_STATE_TEXT, "digest": birth, "fingerprint": "", "cancel": "1"}
        case events.Doubted():
            return {"status": "unknown"}
        case events.Queued():
            return {"entry": change.entry}
        case (
            events.Updated()
            | events.Parked()
            | events.Lapsed()
            | events.Passed()
            | events.Adjusted()
            | events.Reconciled()
            | events.Quarantined()
            | events.Forgotten()
            | events.Switched()
            | events.Clearing()
            | events.Opened()
            | events.Shut()
            | events.Enabled()
            | events.StreamLost()
            | events.StreamWhole()
        ):
            return {}
        case _:
            assert_never(change)


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else value.encode()
