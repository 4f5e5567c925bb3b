"""What a gateway has in hand: every entry from its delivery until it is settled, or left to be delivered again.

An entry is delivered again after a reconnect, by a takeover and by `Reader.forget`, also while its claim waits for
room. What is in hand is not taken up a second time: two claims of one entry have one token, and both would be answered.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from streams.clock import Clock
from streams.plans import ClaimItem
from streams.reader import Entry

# A place is answered in a few of the first; the last is what an order in doubt costs.
AGAIN_MIN_MS, AGAIN_MAX_MS = 50, 2_000


class Taken(Struct, eq=False, gc=False):
    """One entry in hand; `entry` is the very object that was given to whoever handles it."""

    entry: Entry
    step: Literal["handled", "sent", "waits"] = "handled"
    order: str = ""
    revision: int = 0
    tries: int = 0
    due_ms: float = 0.0


class InHand:
    """The entries of one gateway.

    Amends wait here for their order to rest, and are tried again ever more seldom. Of several of one order only the
    newest is: once it is decided, the claims of the others are.
    """

    def __init__(self, clock: Clock) -> None:
        """Bind it."""
        self._clock = clock
        self._held: dict[str, Taken] = {}
        self._waited: dict[str, dict[str, Taken]] = {}  # by order: the amends that were busy once
        self._some_wait = asyncio.Event()

    def __contains__(self, entry: str) -> bool:
        """Whether an entry is in hand."""
        return entry in self._held

    def take(self, delivered: Iterable[Entry]) -> list[Entry]:
        """Take in hand what is not yet, to be handled."""
        fresh = [entry for entry in delivered if entry.id not in self._held]
        self._held |= {entry.id: Taken(entry) for entry in fresh}
        return fresh

    def unclaimed(self, entries: Sequence[Entry]) -> list[Entry]:
        """Which of these are still to be claimed by whoever took them."""
        found = ((entry, self._held.get(entry.id)) for entry in entries)
        return [entry for entry, held in found if held and held.entry is entry and held.step == "handled"]

    def drop(self, entry: str) -> None:
        """Let go of an entry: it is done, or may be delivered again."""
        held = self._held.pop(entry, None)
        if held is not None and held.order:
            waited = self._waited[held.order]
            del waited[entry]
            if not waited:
                del self._waited[held.order]
                if not self._waited:
                    self._some_wait.clear()

    def send(self, entries: Iterable[str]) -> list[Taken]:
        """Note that these are being sent, until `sent` is told of them."""
        sending = [held for entry in entries if (held := self._held.get(entry)) is not None]
        for held in sending:
            held.step = "sent"
        return sending

    def sent(self, sending: Iterable[Taken], _task: object = None) -> None:
        """Let go of what was sent and does not wait to be sent again; called when the task that sent it is done."""
        for held in sending:
            if held.step == "sent" and self._held.get(held.entry.id) is held:
                self.drop(held.entry.id)

    def wait(self, amend: ClaimItem, at_least_ms: float = 0) -> None:
        """Let an amend wait for its next try."""
        held = self._held.get(amend.entry)
        if held is None:
            return
        pause_ms = min(AGAIN_MIN_MS * 2**held.tries, AGAIN_MAX_MS)
        held.step, held.tries = "waits", held.tries + (pause_ms < AGAIN_MAX_MS)
        held.order, held.revision = amend.client_order_id, amend.revision
        held.due_ms = self._clock.monotonic_ms() + max(pause_ms, at_least_ms)
        self._waited.setdefault(held.order, {})[amend.entry] = held
        self._some_wait.set()

    def hurry(self, order: str) -> None:
        """Try the amend that waits for an order soon: something about the order was answered."""
        for held in self._waited.get(order, {}).values():
            if held.step == "waits":
                held.tries = 0
                held.due_ms = min(held.due_ms, self._clock.monotonic_ms() + AGAIN_MIN_MS)

    def due(self) -> list[Entry]:
        """Take the amends that are to be tried now, to be handled."""
        now_ms = self._clock.monotonic_ms()
        found: list[Entry] = []
        for waited in self._waited.values():
            newest = max(waited.values(), key=lambda held: held.revision)
            if newest.step == "waits" and newest.due_ms <= now_ms:
                # Another object: whoever handled it before has no say in it any more.
                newest.entry = Entry(newest.entry.id, newest.entry.fields, redelivered=True)
                newest.step = "handled"
                found.append(newest.entry)
        return found

    async def coming_due(self) -> list[Entry]:
        """Wait until some wait and a little longer, then take what is due; perhaps nothing."""
        await self._some_wait.wait()
        await self._clock.sleep_ms(AGAIN_MIN_MS)
        return self.due()
