"""Both sides of a reconciliation, read: the venue first, our records after it. Decides and writes nothing."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from adapters.venue import CouldNotAsk, Decoder, Rows, Standing, Venue
from consumers.findings import Here, Row, There, VenueOrder
from streams.errors import BadPayload
from streams.holdings import OPENING
from streams.identity import is_ours
from streams.instrument import Instruments, tabulate
from streams.keys import AccountKeys
from streams.schemas import Execution, Order, OrderReport
from streams.store import Store

# Questions under way at once, and in one look: the venue's budget belongs to orders first.
QUESTIONS_MAX = 8
ASKED_BY_ID_MAX = 200
LIVE = frozenset({"open", "partially_filled", "unknown"})


class Look(Struct, frozen=True, kw_only=True):
    """One look at both sides.

    Attributes:
        account_row: the venue's own statement of balances, which proves an adjustment of them.
        positions_row: likewise of positions.
        by_order: what was reported, by venue order id.
        executions: own trades, by venue order.
        instruments: what can be traded, at the time.
    """

    here: Here
    there: There
    instruments: Instruments
    account_row: Row | None = None
    positions_row: Row | None = None
    by_order: Mapping[str, Sequence[tuple[OrderReport, Row]]] = {}
    executions: Mapping[VenueOrder, Sequence[tuple[Execution, Row]]] = {}


class Survey:
    """Looks at one account."""

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, venue: Venue, decode: Decoder,
        holdings: Callable[[str, bytes], Mapping[str, Decimal]],
        positions: Callable[[str, bytes], Sequence[Standing]], symbols: tuple[str, ...],
    ) -> None:  # fmt: skip
        """Bind it; `redis` is a pool."""
        self._redis, self._keys, self._venue, self._decode = redis, keys, venue, decode
        self._holdings, self._positions, self._symbols = holdings, positions, symbols
        self._store = Store(redis, keys)

    async def look(self, since_ms: int | None) -> Look:
        """Look at both sides.

        Args:
            since_ms: for a full look, from when on closed orders and executions are asked for; None for a light one.

        Raises:
            CouldNotAsk: a question had no answer; half a look is none.
            StoreUnreachable, RedisError: our side could not be read.
        """
        instruments = tabulate(await self._store.instruments())
        asked_at_ms = await self._store.now_ms()
        live = await self._live()
        reports: dict[VenueOrder, tuple[OrderReport, Row]] = {}
        executions: dict[tuple[str, str], tuple[Execution, Row]] = {}
        for symbol in self._symbols:
            lists = [await self._venue.open_orders(symbol)]
            if since_ms is not None:
                lists.append(await self._venue.orders_since(symbol, since_ms))
                lists.append(await self._venue.trades_since(symbol, since_ms))
            for rows in lists:
                self._take(symbol, rows, reports, executions)
        if since_ms is not None:
            await self._of_provisional(live, reports, executions)
        absent = await self._by_id(live, reports, executions)
        account_row, balances = await self._balances()
        positions_row, positions = await self._standings(instruments)
        there = There(
            asked_at_ms=asked_at_ms,
            reports=list(reports.values()),
            executions=list(executions.values()),
            absent=absent,
            balances=balances,
            positions=positions,
            complete=since_ms is not None,
        )
        here = await self._here(there, live, instruments)
        by_order: dict[str, list[tuple[OrderReport, Row]]] = {}
        for report, row in there.reports:
            by_order.setdefault(report.venue_order_id, []).append((report, row))
        traded: dict[VenueOrder, list[tuple[Execution, Row]]] = {}
        for fill, row in there.executions:
            traded.setdefault((fill.venue_symbol, fill.venue_order_id), []).append((fill, row))
        return Look(
            here=here, there=there, instruments=instruments, account_row=account_row, positions_row=positions_row,
            by_order=by_order, executions=traded,
        )  # fmt: skip

    async def _live(self) -> dict[str, Order]:
        names: Any = await self._redis.zrange(self._keys.live, 0, -1)
        found = await self._store.orders([name.decode() for name in names])
        return {order.client_order_id: order for order in found if order is not None}

    def _take(
        self, symbol: str, rows: Rows, reports: dict[VenueOrder, tuple[OrderReport, Row]],
        executions: dict[tuple[str, str], tuple[Execution, Row]],
    ) -> None:  # fmt: skip
        for raw in rows.rows:
            row = Row(symbol, rows.format, raw)
            try:
                facts = self._decode(rows.format, raw)
            except BadPayload as error:
                raise CouldNotAsk(f"the venue's answer cannot be read: {error}.") from None
            for fact in facts:
                if isinstance(fact, Execution):
                    executions[fact.venue_symbol, fact.execution_id] = fact, row
                elif isinstance(fact, OrderReport):
                    order = fact.venue_symbol, fact.venue_order_id
                    known = reports.get(order)
                    # A later answer that speaks of the same moment of the venue says no less.
                    if known is None or fact.reported_at_ms >= known[0].reported_at_ms:
                        reports[order] = fact, row

    async def _by_id(
        self, live: Mapping[str, Order], reports: dict[VenueOrder, tuple[OrderReport, Row]],
        executions: dict[tuple[str, str], tuple[Execution, Row]],
    ) -> frozenset[str]:  # fmt: skip
        """Ask by id for the live orders that no list showed; those that the venue does not know."""
        shown = {report.client_order_id for report, _ in reports.values()}
        wanted = [one for name, one in sorted(live.items()) if name not in shown and one.status in LIVE]
        room, absent = asyncio.Semaphore(QUESTIONS_MAX), set[str]()

        async def ask(order: Order) -> None:
            async with room:
                if order.terms is None:
                    return
                found = await self._venue.find(order)
                if not found.rows:
                    absent.add(order.client_order_id)
                self._take(order.terms.symbol, found, reports, executions)

        await asyncio.gather(*(ask(order) for order in wanted[:ASKED_BY_ID_MAX]))
        return frozenset(absent)

    async def _of_provisional(
        self, live: Mapping[str, Order], reports: dict[VenueOrder, tuple[OrderReport, Row]],
        executions: dict[tuple[str, str], tuple[Execution, Row]],
    ) -> None:  # fmt: skip
        """Ask for the executions that were inferred: no list of recent ones need show them."""
        inferred = [one for one in live.values() if one.state.provisional and one.terms is not None]
        for order in inferred[:ASKED_BY_ID_MAX]:
            assert order.terms is not None
            for venue_order_id in order.state.venue_order_ids:
                rows = await self._venue.trades_of(order.terms.symbol, venue_order_id)
                self._take(order.terms.symbol, rows, reports, executions)

    async def _standings(
        self, instruments: Instruments
    ) -> tuple[Row | None, Mapping[str, tuple[Decimal, Decimal]] | None]:
        """Positions of the symbols that are traded here, by position key."""
        rows = await self._venue.positions()
        prefix = self._keys.position("")
        for raw in rows.rows:
            try:
                stated = self._positions(rows.format, raw)
            except BadPayload as error:
                raise CouldNotAsk(f"the venue's positions cannot be read: {error}.") from None
            found: dict[str, tuple[Decimal, Decimal]] = {}
            for one in stated:
                known = instruments.by_venue_symbol.get(one.venue_symbol)
                if known is not None and known.symbol in self._symbols:
                    key = self._keys.position(known.symbol, one.side).removeprefix(prefix)
                    found[key] = one.quantity, one.price
            return Row("", rows.format, raw), found
        return None, None

    async def _balances(self) -> tuple[Row | None, Mapping[str, Decimal] | None]:
        rows = await self._venue.balances()
        for raw in rows.rows:
            try:
                return Row("", rows.format, raw), self._holdings(rows.format, raw)
            except BadPayload as error:
                raise CouldNotAsk(f"the venue's balances cannot be read: {error}.") from None
        return None, None

    async def _here(self, there: There, live: Mapping[str, Order], instruments: Instruments) -> Here:
        held = await self._store.all_holdings()  # before what they moved: what is seen there is counted here
        backlog = await self._store.backlog()
        owners = await self._owners(there)
        named = {report.client_order_id for report, _ in there.reports if report.client_order_id}
        names = sorted({*live, *named, *owners.values()})
        orders = {one.client_order_id: one for one in await self._store.orders(names) if one is not None}
        bases: dict[str, list[str]] = {}
        for symbol in self._symbols:
            if symbol in instruments.by_symbol:
                bases.setdefault(instruments.by_symbol[symbol].base, []).append(symbol)
        return Here(
            orders=orders,
            owners=owners,
            executions=await self._applied(there, owners, orders),
            spent=await self._spent(named - set(orders)),
            positions=await self._store.positions(),
            holdings=held.amounts,
            occasions=held.occasions,
            symbols=frozenset(self._symbols),
            opened=OPENING in held.booked,
            booked=held.booked,
            bases={asset: tuple(sorted(found)) for asset, found in bases.items()},
            lots={symbol: one.lot for symbol, one in instruments.by_symbol.items()},
            quiet=backlog["evidence"]["lag"] + backlog["evidence"]["pending"] == 0,
        )

    async def _owners(self, there: There) -> dict[VenueOrder, str]:
        named = {(one.venue_symbol, one.venue_order_id) for one, _ in there.reports}
        asked = sorted(named | {(one.venue_symbol, one.venue_order_id) for one, _ in there.executions})
        if not asked:
            return {}
        rows: list[Any] = await self._redis.mget([self._keys.venue_order(*one) for one in asked])
        return {one: row.decode() for one, row in zip(asked, rows, strict=True) if row is not None}

    async def _applied(
        self, there: There, owners: Mapping[VenueOrder, str], orders: Mapping[str, Order]
    ) -> frozenset[tuple[str, str]]:
        """Which of the venue's executions a record has."""
        clients = {(one.venue_symbol, one.venue_order_id): one.client_order_id for one, _ in there.reports}
        asked: list[tuple[str, str]] = []
        for fill, _ in there.executions:
            order = fill.venue_symbol, fill.venue_order_id
            owner = owners.get(order) or clients.get(order)
            if owner in orders:
                asked.append((str(owner), fill.execution_id))
        pipe = self._redis.pipeline(transaction=False)
        for owner, execution_id in asked:
            pipe.hexists(self._keys.order(owner), execution_id)
        answers: Sequence[Any] = await pipe.execute() if asked else []
        return frozenset(one for one, known in zip(asked, answers, strict=True) if known)

    async def _spent(self, names: Iterable[str]) -> frozenset[str]:
        rule = self._venue.facts.id_rule
        asked = sorted(name for name in names if is_ours(name, rule))
        stored: Any = await self._redis.hget(self._keys.control, "spent")
        months = stored.decode().split(",") if stored else []
        if not asked or not months:
            return frozenset()
        pipe = self._redis.pipeline(transaction=False)
        for month in months:
            # The mark that `forget` leaves of an identity (lua/include/spent.lua).
            marks = [hashlib.sha1(one.encode(), usedforsecurity=False).digest()[:16] for one in asked]
            pipe.smismember(self._keys.spent(month), marks)
        found: set[str] = set()
        for answers in await pipe.execute():
            found |= {name for name, spent in zip(asked, answers, strict=True) if spent}
        return frozenset(found)
