"""The gate: after the server's history changed, trading waits until the venue's orders and ours agree.

A fresh account agrees at once. Otherwise no claim that was lost may still go out, every order the venue lists
under our prefix, closed ones too, becomes a record that cannot be claimed as new, and what the venue says of
them goes into `evidence`. The last step alone sets the history (R5, R6). A server that came back with everything
it had has lost no claim, so nothing is waited for.

Intents are taken meanwhile, and wait. Whether one comes before the import or after it is the same: no claim is granted
until the gate opens, and a record made since it was shut is to `import` as good as none, so what the venue lists takes
its place, terms and all. Its entry in the journal counts for none that survived: the venue is asked for as much.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import CouldNotAsk, Described, Rows, Undescribed, Venue
from consumers.adoption import IMPORTED, import_item, listed_terms
from consumers.durability import Level
from consumers.look_back import look_back
from consumers.starting import WAITS, beyond, overdue
from consumers.witness import Witness
from streams import events
from streams.clock import Clock
from streams.errors import BadIntent, BadPayload, FillonceError, HistoryChanged, StoreUnreachable
from streams.evidence import append
from streams.identity import is_ours
from streams.instrument import Instruments, tabulate
from streams.keys import AccountKeys
from streams.limits import Limits
from streams.plans import GateState, ImportItem
from streams.schemas import Evidence
from streams.scripts import BATCH_MAX, Scripts
from streams.store import Store

log = logging.getLogger("fillonce.reconciler")

# Before the last surviving write: its clock, the venue's, and an order that was on its way.
OVERLAP_MS = 60_000
# An account without a journal is new, or its server lost everything: orders of one day would show it.
PAGE = 64  # entries of the journal read at once
# These write while the gate is shut too, so that an entry of theirs may be younger than what was lost.
_OF_A_SHUT_GATE = ("stream", "halt", "import", "publish")
FRESH_BACK_MS = 86_400_000


def _is_of_a_shut_gate(said: events.JournalEntry) -> bool:
    return said.script in _OF_A_SHUT_GATE or any(isinstance(change, events.Shut) for change in said.changes)


class Shut(Struct, frozen=True):
    """Why the gate stays shut, and whether it is the venue that does not answer, or not as anybody thought."""

    reason: str
    by_venue: bool


class Seen(Struct, frozen=True):
    """The account as it was when the gate was last seen open: what a server that lost its last writes cannot show.

    Attributes:
        at_ms: when, on the monotonic clock.
        switches: halts that were on, by level and scope (`halt`, `reduce:strategy:s`), with the reason as stored.
        tip: the newest journal entry, id and data.
    """

    at_ms: int
    switches: Mapping[str, str]
    tip: tuple[bytes, bytes] | None


class StartSettings(Struct, frozen=True, kw_only=True):
    """What an account must keep before new exposure goes out under a new opening of the gate.

    Attributes:
        limits: that its positions are held against.
        deadline_ms: after which it is said to be overdue.
    """

    limits: Limits
    deadline_ms: int


class Reconciler:
    """Opens the gate of one account when local and venue agree.

    Attributes:
        imported: orders that had no record, since the start.
        shut: why the gate is shut, if it is.
        starting: what new exposure waits for while the gate is open; empty for nothing.
    """

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, venue: Venue, describe: Callable[[str, bytes], Described],
        symbols: tuple[str, ...], window_ms: int, durability: Level, clock: Clock, start: StartSettings | None = None,
        witness: Witness | None = None,
    ) -> None:  # fmt: skip
        """Bind it.

        Args:
            redis: a pool.
            keys: of the account.
            venue: what is asked.
            describe: makes a record of what it lists.
            symbols: those the account trades.
            window_ms: the account's longest send window; a claim that was lost may still go out for that long.
            durability: with `disk`, every claim was on the server's disk before anything of it was sent.
            clock: whose monotonic time is used.
            start: what new exposure waits for after an opening; without it, for nothing.
            witness: keeps halts where neither this process nor the server can lose them.
        """
        self.imported = 0
        self.shut: Shut | None = None
        self.starting = ""
        self._redis, self._keys, self._venue, self._describe = redis, keys, venue, describe
        self._symbols, self._window_ms, self._durability, self._clock = symbols, window_ms, durability, clock
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)
        self._found: tuple[str, int] = ("", 0)  # the history that was found, and when on the monotonic clock
        self._seen: Seen | None = None
        self._witness = witness
        self._start, self._began_ms = start, clock.monotonic_ms()
        self._told_to_wait: tuple[float, str] = (0, "")  # until when the venue wants no question, and its sentence

    async def ensure_open(self) -> bool:
        """Open the gate if the account may trade under the server's present history; whether it is open."""
        try:
            gate = await self._scripts.gate()
            if gate.is_open and self._scripts.passage.enter(gate.opening) == "left":
                log.warning("a server that was replaced answers again")
                gate = await self._scripts.shut_gate(gate.opening)
            if not gate.is_open:
                if gate.history != self._found[0]:
                    self._found = (gate.history, self._clock.monotonic_ms())
                await self._reconcile(gate.history, fresh=not gate.reconciled)
                await self._halt_again()
                gate = await self._scripts.open_gate(gate.history, guarded=self._start is not None)
                self._scripts.passage.enter(gate.opening)
                log.info("the gate is %s", "open" if gate.is_open else "shut")
            self.shut = None
            if gate.is_open:
                await self._enable(gate)
                await self._remember()
        except (CouldNotAsk, StoreUnreachable, HistoryChanged, RedisError, OSError) as error:
            reason = f"{error}" if isinstance(error, FillonceError) else type(error).__name__
            if isinstance(error, CouldNotAsk) and error.wait_ms:
                self._told_to_wait = self._clock.monotonic_ms() + error.wait_ms, reason
            self.shut, self.starting = Shut(self._overdue(reason), by_venue=isinstance(error, CouldNotAsk)), ""
            log.warning("the gate stays shut: %s", self.shut.reason)
            return False
        except Exception as error:  # a defect that meets this account must not end whoever says so
            self.shut, self.starting = Shut(self._overdue(type(error).__name__), by_venue=True), ""
            log.exception("the gate stays shut")
            return False
        return gate.is_open

    async def _enable(self, gate: GateState) -> None:
        """Let new exposure out when everything that the venue told is applied, limits hold and the stream is whole."""
        if not gate.waits_for:
            self.starting, self._began_ms = "", self._clock.monotonic_ms()
            return
        start = self._start or StartSettings(limits=Limits(), deadline_ms=0)
        reason = WAITS.get(gate.waits_for) or beyond(await self._store.positions(), start.limits)
        if not reason:
            reason = WAITS.get((await self._scripts.enable(gate.opening)).waits_for, "")
            if not reason:
                log.info("new exposure may go out")
        self.starting = self._overdue(reason) if reason else ""

    def _overdue(self, reason: str) -> str:
        if self._start is None:
            return reason
        return overdue(reason, self._clock.monotonic_ms() - self._began_ms, self._start.deadline_ms)

    async def _remember(self) -> None:
        """Keep what a server that loses its last writes would not tell any more."""
        at_ms = self._clock.monotonic_ms()
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(self._keys.control)
        pipe.xrevrange(self._keys.events, count=1)
        control, newest = await pipe.execute()
        self._seen = Seen(
            at_ms=at_ms,
            switches={
                name.decode(): msgspec.json.decode(reason, type=str)
                for name, reason in control.items()
                if name.partition(b":")[0] in (b"halt", b"reduce")
            },
            tip=(newest[0][0], newest[0][1][b"data"]) if newest else None,
        )
        if self._witness is not None:
            self._witness.keep(self._seen.switches)

    async def _halt_again(self) -> None:
        """Assert a halt that was seen and is lost; one that was resumed meanwhile waits for a person once more."""
        kept = self._witness.recall() if self._witness is not None and self._seen is None else {}
        for name, reason in (self._seen.switches if self._seen is not None else kept).items():
            if not await self._redis.hexists(self._keys.control, name):
                level, _, scope = name.partition(":")
                await self._scripts.halt("halt" if level == "halt" else "reduce", reason, "reconciler", scope)

    async def _reconcile(self, history: str, *, fresh: bool) -> None:
        if self._clock.monotonic_ms() < self._told_to_wait[0]:
            raise CouldNotAsk(self._told_to_wait[1])
        survived_ms, scripts = await self._survived()
        now_ms = await self._store.now_ms()
        # Before the first opening only the private stream is told of and intents wait; a journal of anything else is an
        # account's past, and so is a gate that was seen open.
        first = fresh and survived_ms is None and scripts <= {"stream", "publish"} and self._seen is None
        since_ms = look_back((now_ms - FRESH_BACK_MS if survived_ms is None else survived_ms) - OVERLAP_MS, now_ms)
        listed = await self._list(since_ms)
        if first and not any(items for _, items in listed):
            return  # a new account, and the venue knows of nothing of ours either
        waited = not await self._kept_everything()
        if waited:
            await self._wait_for_windows()
            listed = await self._list(since_ms)
        if await self._import(listed, history) and not waited:
            log.warning("the venue lists orders whose claims are lost")
            await self._wait_for_windows()
            listed = await self._list(since_ms)
            await self._import(listed, history)
        for rows, _ in listed:
            said = Evidence(source="backfill", format=rows.format, received_at_ns=self._clock.now_ns())
            await append(self._redis, self._keys, [(said, row) for row in rows.rows])

    async def _survived(self) -> tuple[int | None, set[str]]:
        """When the newest entry was written that shows what survived; None without one, and the scripts of newer ones.

        It is by the journal's own clock: an entry's id can run ahead of it after the server's clock was set back.
        """
        scripts: set[str] = set()
        newest = "+"
        while True:
            page: Any = await self._redis.xrevrange(self._keys.events, newest, "-", PAGE)
            for _, fields in page:
                said = events.decode(fields[b"data"])
                if not _is_of_a_shut_gate(said):
                    return said.at_ms, scripts
                scripts.add(said.script)
            if len(page) < PAGE:
                return None, scripts
            newest = f"({page[-1][0].decode()}"

    async def _import(self, listed: Sequence[tuple[Rows, list[ImportItem]]], history: str) -> int:
        """Make records before the gate opens, so that a republished intent meets its own; how many claims were lost."""
        lost = 0
        for _, items in listed:
            for start in range(0, len(items), BATCH_MAX):
                answers = await self._scripts.import_orders(items[start : start + BATCH_MAX], history)
                self.imported += answers.count("imported")
                lost += answers.count("imported") + answers.count("lost")
        return lost

    async def _list(self, since_ms: int) -> list[tuple[Rows, list[ImportItem]]]:
        """Ask for everything first, so that a venue that stops answering half-way leaves nothing behind.

        Raises:
            CouldNotAsk: the venue did not answer, or an order of ours cannot be read.
        """
        instruments = tabulate(await self._store.instruments())
        listed: list[tuple[Rows, list[ImportItem]]] = []
        for symbol in self._symbols:
            orders = await self._venue.orders_since(symbol, since_ms)
            listed.append(
                (orders, [item for row in orders.rows if (item := self._item(orders.format, row, instruments))])
            )
            listed.append((await self._venue.trades_since(symbol, since_ms), []))
        return listed

    def _item(self, form: str, row: bytes, instruments: Instruments) -> ImportItem | None:
        """Make a record of a listed order; None for one of another system."""
        rule = self._venue.facts.id_rule
        try:
            listed = self._describe(form, row)
            if not is_ours(listed.client_order_id, rule):
                return None
            symbol = instruments.of_venue_symbol(listed.venue_symbol).symbol
            return import_item(listed.client_order_id, listed_terms(listed, symbol, self._keys.account, IMPORTED))
        except Undescribed as error:
            if not is_ours(error.client_order_id, rule):
                return None
            raise CouldNotAsk(f"An order of ours cannot be read: {error}.") from None
        except (BadPayload, BadIntent, ValueError) as error:
            # Perhaps it is ours: with the gate open, its intent could be sent again.
            raise CouldNotAsk(f"A listed order cannot be read: {error}.") from None

    async def _kept_everything(self) -> bool:
        """Whether this is the server that was seen last, started again on the disk that every claim was written to.

        Its journal has the entry that it was seen to end with; an older copy of the disk does not.
        """
        seen = self._seen
        if self._durability != "disk" or seen is None or seen.tip is None or await self._uptime_ms() is None:
            return False
        name, data = seen.tip
        there: Any = await self._redis.xrange(self._keys.events, name, name)
        return bool(there and there[0][1][b"data"] == data)

    async def _uptime_ms(self) -> int | None:
        """How long this server runs; None unless it began after the gate was last seen open, as nobody's replica."""
        told = await self._redis.info("server", "replication")
        if set(str(told.get("master_replid2", ""))) != {"0"}:
            return None
        up_ms = int(told["uptime_in_seconds"]) * 1000
        return up_ms if self._seen is None or up_ms <= self._clock.monotonic_ms() - self._seen.at_ms else None

    async def _wait_for_windows(self) -> None:
        """Wait until no claim that was lost can still be sent.

        Such claims are older than this server's start; on a promoted replica, whose start says nothing, or one that
        ran while the gate was still seen open elsewhere, they are older than the moment its history was first seen.
        """
        facts = self._venue.facts
        past_ms = max(self._clock.monotonic_ms() - self._found[1], await self._uptime_ms() or 0)
        wait_ms = self._window_ms + facts.request_lifetime_ms + facts.lookup_lag_ms + facts.clock_bound_ms - past_ms
        if wait_ms > 0:
            log.info("waits %d ms until no lost send window is open", wait_ms)
            await self._clock.sleep_ms(wait_ms)
