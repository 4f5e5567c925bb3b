"""The gateway: takes intents, claims them, sends them within their window, settles what came of it.

Many may share an account. Everything that must not happen twice is decided by `claim`; here is only what
lies between the claim and the answer. An entry is never acknowledged here, only by `claim` and `settle`.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from functools import partial
from typing import assert_never

import msgspec
from msgspec import Struct
from redis.exceptions import RedisError

from adapters.venue import Answer, Venue
from consumers.amends import Amends
from consumers.batching import Sending, groups
from consumers.durability import Durability
from consumers.held import Held
from consumers.in_hand import InHand
from consumers.judge import Judge
from consumers.prepare import Prepared, Unusable, prepare
from consumers.quarantine import quarantine
from consumers.sending import Sender
from consumers.settling import Settler, stays
from consumers.under_way import UnderWay
from streams import codec
from streams.cache import Cache
from streams.clock import Clock
from streams.errors import BadIntent, HistoryChanged, StoreUnreachable
from streams.instrument import Instruments
from streams.keys import AccountKeys
from streams.measures import Measures
from streams.plans import Busy, Claimed, ClaimItem, Conflict, Done, Gap, Halted, Reducing, Stale
from streams.reader import Entry, Reader
from streams.schemas import AccountInfo, Cancel, NotSent, Throttled
from streams.scripts import BATCH_MAX, Scripts
from streams.tasks import end

log = logging.getLogger("fillonce.gateway")

STANDBY_MS = 100
# What is claimed and sent sooner is not worth reading past.
OVERTAKE_AFTER_MS = 10


class GatewaySettings(Struct, frozen=True, kw_only=True):
    """What a gateway needs of the settings."""

    name: str
    window_ms: int
    first_look_ms: int
    in_flight_max: int
    remembers_max: int = 10_000


class Gateway:
    """Sends the intents of one account.

    Attributes:
        claimed: commands taken for sending since the start.
        duplicates: entries that had been dealt with before.
        quarantined: entries that were not intents.
        halted: entries that were left to wait because the account is halted.
        held: what was left to wait: for the private stream, the account's start, the venue's clock or rate.
        in_flight: commands between claim and settle.
        conflicts: intents whose identity is taken by another order.
        known: intents that needed nothing when they were claimed last, by their bytes.
        to_socket: from a claim to the last moment before its request is written.
        pulse: of its loop.
    """

    def __init__(
        self, *, scripts: Scripts, claims: Scripts, durability: Durability, reader: Reader, keys: AccountKeys,
        venue: Venue, info: AccountInfo, instruments: Instruments, judge: Judge, amends: Amends,
        settings: GatewaySettings, clock: Clock,
    ) -> None:  # fmt: skip
        """Bind it: `scripts`, by which answers are settled, and the reader on connections of their own; `claims` on the
        one that `durability` speaks of.
        """  # noqa: D205 - one sentence
        self.claimed = self.duplicates = self.conflicts = self.quarantined = self.halted = 0
        self._sender, self._settler = Sender(venue, amends), Settler(scripts, clock)
        self.held = Held(reader, scripts, venue, clock)
        self.to_socket, self.pulse = self._sender.to_socket, reader.pulse
        self.instruments = instruments
        self._scripts, self._claims, self._durability = scripts, claims, durability
        self._reader, self._keys, self._venue, self._info = reader, keys, venue, info
        self._judge, self._amends, self._settings, self._clock = judge, amends, settings, clock
        reader.overtakes = overtakes
        self._running = True
        self._under_way = UnderWay(settings.in_flight_max, reader.pulse)
        self._hand = InHand(clock)
        self._working: asyncio.Task[None] | None = None  # on what was read, while more is read
        self._behind: list[Entry] = []  # that, in its order
        self._patient_until_ms = 0
        self.known: Cache[bytes, Prepared] = Cache(settings.remembers_max)
        self._tokens: dict[str, str] = {}  # by entry id, from the first try of a claim to its answer

    @property
    def in_flight(self) -> int:
        """Commands between claim and settle."""
        return len(self._under_way)

    async def run(self, *, burst: bool = False) -> None:
        """Read, claim and send until stopped, then wait for the answers that are still out."""
        beside = [asyncio.create_task(self.held.release()), asyncio.create_task(self._try_again())]
        for task in beside:
            task.add_done_callback(self._fell)
        try:
            async for batch in self._reader.batches(burst=burst, idle=True):
                await self._take_up(self._hand.take(batch), wait=burst)
            if self._working is not None:
                await self._working
        finally:
            await end(beside)  # amends that wait stay pending
            await end([self._working] if self._working is not None else [])
            # Whatever ends this loop, an answer that comes is settled: it saves a doubt.
            await self._under_way.all_ended()
        for task in beside:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _fell(self, beside: asyncio.Task[None]) -> None:
        """End with what runs beside the reading: without it entries that wait are never claimed."""
        if not beside.cancelled() and beside.exception() is not None:
            self.stop()

    async def _take_up(self, entries: Sequence[Entry], *, wait: bool) -> None:
        """Work on what was read beside the reading, so that the next entries are here when a claim is answered.

        Cancels go past what waits here; where that takes long, the reader yields nothing else.
        """
        if self._working is not None and self._working.done():
            done, self._working = self._working, None
            await done
        if self._working is not None:
            first = [entry for entry in entries if overtakes(entry)]
            self._behind += [entry for entry in entries if entry not in first] if first else entries
            self._reader.paused = bool(self._behind) and self._clock.monotonic_ms() >= self._patient_until_ms
            await self._handle_or_wait(first)
        elif entries:
            self._behind += entries
            self._working = asyncio.create_task(self._work())
        if wait and self._working is not None:
            await asyncio.wait([self._working])

    async def _work(self) -> None:
        """Handle what was read, all of it that came meanwhile together, until nothing is left or it is stopped."""
        try:
            while self._behind and self._running:
                entries, self._behind = self._behind[:BATCH_MAX], self._behind[BATCH_MAX:]
                self._patient_until_ms = self._clock.monotonic_ms() + OVERTAKE_AFTER_MS
                self._reader.paused = False
                await self._handle_or_wait(entries)
        finally:
            self._leave_behind()
            self._reader.paused = False

    def _leave_behind(self) -> None:
        behind, self._behind = self._behind, []
        self._leave(behind)

    def stop(self) -> None:
        """Take nothing more; `run` ends when the answers that are out have come and are settled."""
        self._running = self._settler.patient = False
        self._reader.stop()

    def figures(self) -> dict[str, int]:
        """What was counted since the start."""
        return {
            "claimed": self.claimed, "duplicates": self.duplicates, "conflicts": self.conflicts,
            "quarantined": self.quarantined, "cache_hits": self.known.counters.hits, "halted": self.halted,
            "waiting": self.held.waiting, "in_flight": self.in_flight, "refused": self._judge.refused,
            "clock_off": int(self.held.clock_off),
        }  # fmt: skip

    def measures(self) -> Measures:
        """What was measured since the start."""
        return Measures(
            times={"claim_to_socket": self.to_socket}, duplicates={"claim": self.duplicates},
            conflicts={"claim": self.conflicts}, caches={"intent": self.known.counters},
        )  # fmt: skip

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Claim one batch and start sending what was claimed.

        Raises:
            HistoryChanged, StoreUnreachable: nothing was sent of what was not claimed; the batch stays pending.
        """
        prepared: list[Prepared] = []
        for entry in entries:
            made = self._known(entry) or prepare(
                entry, self._keys.account, self._info, self._venue.facts, self.instruments
            )
            if isinstance(made, Unusable) and made.refused is not None and await self._has_record(made.refused):
                # It was published as an order, so it ends as one: quarantined, it would be queued again for ever.
                made = made.refused
            if isinstance(made, Unusable):
                await self._quarantine(made)
            else:
                prepared.append(await self._amends.ready(made, self.instruments))
        prepared = self.held.timely(prepared)
        new = {entry.id for entry in entries if not entry.redelivered}
        if any(one.item.entry in new and self.held.is_behind(one.item) for one in prepared):
            reducing = await self._judge.reducing([one.item for one in prepared])
            prepared = self.held.in_turn(prepared, new, reducing)
        # Cancels first: what is no longer wanted is not sent; one whose place comes after it leaves a tombstone.
        prepared.sort(key=lambda one: one.item.command != "cancel")
        while prepared := await self._unless_shut(prepared):
            if room := self._under_way.fits(one.item.command for one in prepared):
                await self._claim(prepared[:room])
                prepared = prepared[room:]
            else:
                await self._under_way.one_ended(prepared[0].item.command)

    async def _unless_shut(self, prepared: list[Prepared]) -> list[Prepared]:
        if not self.held.is_shut:
            return prepared
        return self.held.unless_shut(prepared, await self._judge.reducing([one.item for one in prepared]))

    async def _handle_or_wait(self, batch: Sequence[Entry]) -> None:
        while batch:
            self.pulse.beat()
            try:
                await self.handle(batch)
            except HistoryChanged:
                self.known.drop_all()
                self._durability.doubt()
                self._leave(batch)
                self._leave_behind()
                self._reader.forget()  # read under another history; it is delivered again where it still exists
                await self._clock.sleep_ms(STANDBY_MS)
                return
            except (StoreUnreachable, RedisError, OSError) as error:
                log.warning("waits for Redis: %s", error if isinstance(error, StoreUnreachable) else type(error))
                await self._clock.sleep_ms(STANDBY_MS)
                batch = self._hand.unclaimed(batch)
                if not self._running:
                    return
            else:
                self._leave(batch)
                return

    def _leave(self, batch: Sequence[Entry]) -> None:
        """Leave what was not claimed to be delivered again."""
        for entry in self._hand.unclaimed(batch):
            self._hand.drop(entry.id)

    async def _try_again(self) -> None:
        """Try amends again that wait for their order: nobody else does, while their entries are pending here."""
        while True:
            await self._handle_or_wait(await self._hand.coming_due())

    async def _claim(self, prepared: Sequence[Prepared]) -> None:
        """Claim all of these, a few at a time where limits have to be judged by what the ones before them did."""
        left = list(prepared)
        while left:
            left = await self._claim_judged(left)

    async def _claim_judged(self, prepared: Sequence[Prepared]) -> list[Prepared]:
        """Judge and claim the first of these; those that are to be judged again, and those behind them."""
        tokens = [msgspec.structs.replace(one.item, token=self._token(one.item.entry)) for one in prepared]
        items, exposure = await self._judge.judge(tokens, self.instruments)
        settings = self._settings
        verdicts = await self._claims.claim(
            items, settings.name, settings.window_ms, settings.first_look_ms, exposure
        )  # fmt: skip
        kept = not any(isinstance(one, Claimed) for one in verdicts) or await self._kept()
        again: list[Prepared] = []
        decided: list[tuple[Prepared, ClaimItem, Claimed | Conflict | Halted | Gap | Done | Busy]] = []
        for one, item, verdict in zip(prepared, items, verdicts, strict=False):
            if isinstance(verdict, Stale | Reducing) or (isinstance(verdict, Gap) and not item.judged):
                if not isinstance(verdict, Stale):
                    self._judge.press(item.entry)
                again.append(one)
                continue
            # Before anything can fail: what is tried again after its answer is another claim, by a token of its own.
            self._tokens.pop(item.entry, None)
            decided.append((one, item, verdict))
        self._start(
            [Sending(item, verdict, one.raw) for one, item, verdict in decided if isinstance(verdict, Claimed)],
            kept=kept,
        )
        for one, item, verdict in decided:
            await self._follow(one, item, verdict)
        return [*again, *prepared[len(items) :]]

    async def _follow(
        self, one: Prepared, item: ClaimItem, verdict: Claimed | Conflict | Halted | Gap | Done | Busy
    ) -> None:
        """Do what an entry needs here beside being sent."""
        match verdict:
            case Claimed():
                self.claimed += 1
            case Conflict(stored):
                self.conflicts += 1
                reason = (
                    f"identity {item.client_order_id} was used for another order "
                    f"(stored fingerprint {stored}, given {item.fingerprint})"
                )
                await self._quarantine(Unusable(entry=item.entry, reason=reason, raw=one.raw))
            case Halted():
                self.halted += 1
                self._hold(item)
            case Gap():
                self.held.waiting += 1
                self._hold(item)
            case Done():
                self._remember(one)
            case Busy():
                self._wait_or_leave(one)
            case _:
                assert_never(verdict)

    def _start(self, sendings: Sequence[Sending], *, kept: bool) -> None:
        """Start sending what was claimed; what the venue takes in one request goes by one."""
        for group in groups(sendings, self._venue.facts) if kept else [[one] for one in sendings]:
            task = asyncio.create_task(self._send(group) if kept else self._hold_back(group[0].item))
            entries = [one.item.entry for one in group]
            self._under_way.add(entries, group[0].item.command, task)
            task.add_done_callback(partial(self._hand.sent, self._hand.send(entries)))

    def _hold(self, item: ClaimItem) -> None:
        self.held.leave(item)
        self._hand.drop(item.entry)

    def _remember(self, done: Prepared) -> None:
        self.duplicates += 1
        self._hand.drop(done.item.entry)
        if done.item.command != "amend":  # it was worked out from a record that moves on
            self.known.put(done.raw, done)

    def _wait_or_leave(self, busy: Prepared) -> None:
        """Leave an entry to the claim that is open; an amend waits for its order, or for the amend before it."""
        if busy.item.command == "amend":
            self._hand.wait(busy.item)
        else:
            self.duplicates += 1
            self._hand.drop(busy.item.entry)

    def _known(self, entry: Entry) -> Prepared | None:
        """Recognise an intent that a claim has found to need nothing; the claim still decides and acknowledges."""
        known = self.known.get(entry.fields.get(b"data", b""))
        return None if known is None else Prepared(msgspec.structs.replace(known.item, entry=entry.id), known.raw)

    def _token(self, entry: str) -> str:
        """Draw the token of a claim; the same one again while the claim's answer is not known."""
        return self._tokens.setdefault(entry, secrets.token_urlsafe(12))

    async def _has_record(self, refused: Prepared) -> bool:
        return await self._claims.known(refused.item.client_order_id)

    async def _kept(self) -> bool:
        """Whether the claims have the account's durability; where they have not, nothing is sent and trading halts.

        A server that gave no answer has broken no promise: it restarts or is replaced, and the next claim asks again.
        """
        if await self._durability.confirm():
            return True
        reason = self._durability.reason
        if self._durability.silent:
            log.warning("a claim is not sent: %s", reason)
            return False
        log.error("trading halts: %s", reason)
        try:
            await self._claims.halt("halt", reason, self._settings.name)
        except (StoreUnreachable, RedisError, OSError) as error:
            log.error("the account could not be halted: %s", error)  # noqa: TRY400 - the next claim tries again
        return False

    async def _hold_back(self, item: ClaimItem) -> None:
        await self._settle(item, Answer(NotSent(self._durability.reason)))

    async def _send(self, group: Sequence[Sending]) -> None:
        """Send claimed commands and settle each; whatever happens in between is an outcome."""
        answers = await self._sender.send(group)
        settles = [self._settle(one.item, answer) for one, answer in zip(group, answers, strict=True)]
        settled = await asyncio.gather(*settles) if len(settles) > 1 else [await settles[0]]
        for one, answer, kept in zip(group, answers, settled, strict=True):
            if kept and stays(one.item, answer):
                self._hand.wait(one.item, answer.outcome.retry_after_ms if isinstance(answer.outcome, Throttled) else 0)
            else:
                self._hand.hurry(one.item.client_order_id)

    async def _settle(self, item: ClaimItem, answer: Answer) -> bool:
        """Settle what became of a claim; an entry that is nobody's then is read again."""
        settled = await self._settler.settle(item, answer)
        if not settled:
            self._under_way.drop(item.entry)
            self._hand.drop(item.entry)
            self._reader.forget()
        return settled

    async def _quarantine(self, bad: Unusable) -> None:
        self.quarantined += await quarantine(self._scripts, self._keys, "intents", bad.entry, bad.reason, bad.raw)
        self._hand.drop(bad.entry)


def overtakes(entry: Entry) -> bool:
    """Whether an entry need not wait for those before it that were not claimed yet: cancels come first."""
    try:
        return isinstance(codec.decode_intent(entry.fields.get(b"data", b"")), Cancel)
    except BadIntent:
        return False
