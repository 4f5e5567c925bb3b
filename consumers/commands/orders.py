"""`fillonce orders`: records as they stand, the latest changed first."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer
from msgspec import Struct

from consumers.commands import output
from consumers.commands.connecting import chosen_accounts, connected, settings_of
from streams.errors import UsageError
from streams.schemas import TERMINAL, Order, OrderStatus
from streams.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

LIMIT_MAX: Final = 100_000
PAGE: Final = 500


class Wanted(Struct, frozen=True):
    """Which orders to list, and how many of an account; an empty filter takes all."""

    statuses: frozenset[str]
    symbol: str
    limit: int

    def has(self, order: Order) -> bool:
        """Whether an order is one of them."""
        symbol = order.terms.symbol if order.terms else ""
        return (not self.statuses or order.status in self.statuses) and self.symbol in ("", symbol)


def orders(
    ctx: typer.Context,
    *,
    client_order_id: Annotated[str, typer.Argument(metavar="[CLIENT_ORDER_ID]", help="Only this order.")] = "",
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    status: Annotated[list[str] | None, typer.Option(help="Only this status; may be repeated.")] = None,
    symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Most orders per account.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """List orders, the latest changed first.

    \b
    Examples:
      fillonce orders
      fillonce orders --status open --status partially_filled
      fillonce orders fo-2vX9… --json
    """  # noqa: D301 - \b tells the help to keep the lines
    wanted = frozenset(status or ())
    if strange := sorted(wanted - set(get_args(OrderStatus))):
        raise UsageError(f"There is no status {strange[0]}; use {', '.join(get_args(OrderStatus))}.")
    found = asyncio.run(_find(settings_of(ctx), account, client_order_id, Wanted(wanted, symbol, limit)))
    rows = [row(name, order) for name, order in found]
    if as_json:
        output.document({"orders": rows})
    elif rows:
        output.show(_table(rows))
    if client_order_id and not rows:
        output.say(f"There is no order {client_order_id}.")
        return output.WRONG
    if not rows and not as_json:
        output.show("No orders.")
    return output.DONE


def row(account: str, order: Order) -> dict[str, Any]:
    """One order with the field names of `--json`."""
    terms, state = order.terms, order.state
    return {
        "client_order_id": order.client_order_id,
        "account": account,
        "strategy": terms.strategy if terms else None,
        "signal_id": terms.signal_id if terms else None,
        "leg": terms.leg if terms else None,
        "symbol": terms.symbol if terms else None,
        "side": terms.side if terms else None,
        "type": terms.type if terms else None,
        "quantity": order.quantity if terms else None,
        "price": order.price if terms else None,
        "time_in_force": terms.time_in_force if terms else None,
        "signal_time": terms.signal_time if terms else None,
        "valid_until_ms": order.valid_until_ms,
        "status": order.status,
        "filled": state.filled,
        "cost": state.cost,
        "fees": state.fees,
        "venue_order_ids": state.venue_order_ids,
        "cancel_requested": order.cancel_requested,
        "reason": order.reason,
        "anomalies": state.anomalies,
        "tags": terms.tags if terms else {},
    }


async def _find(settings: Settings, account: str, client_order_id: str, wanted: Wanted) -> list[tuple[str, Order]]:
    from streams.keys import AccountKeys
    from streams.store import Store

    found: list[tuple[str, Order]] = []
    async with connected(settings) as redis:
        for name in await chosen_accounts(redis, settings, account):
            keys = AccountKeys(name)
            store = Store(redis, keys)
            if client_order_id:
                pages = _just([client_order_id])
            elif wanted.statuses and not wanted.statuses & TERMINAL:
                pages = _live(redis, keys.live)  # every order that is not finished has its next look there
            else:
                pages = _latest(redis, keys.events)
            found += [(name, order) for order in await _taken(store.orders, pages, wanted)]
    return found


async def _taken(read: Any, pages: AsyncIterator[Sequence[str]], wanted: Wanted) -> list[Order]:
    taken: dict[str, Order] = {}
    async for page in pages:
        for order in await read(page):
            if order is not None and wanted.has(order):
                taken[order.client_order_id] = order
            if len(taken) == wanted.limit:
                return list(taken.values())
    return list(taken.values())


async def _just(names: Sequence[str]) -> AsyncIterator[Sequence[str]]:
    yield names


async def _live(redis: "Redis", key: str) -> AsyncIterator[Sequence[str]]:
    start = 0
    while True:
        names: Any = await redis.zrange(key, start, start + PAGE - 1)
        if not names:
            return
        yield [name.decode() for name in names]
        start += PAGE


async def _latest(redis: "Redis", key: str) -> AsyncIterator[Sequence[str]]:
    """Client order ids by their last change in the journal: as far back as the caller reads, not all keys there are."""
    import msgspec

    class Change(msgspec.Struct):
        client_order_id: str = ""

    class Entry(msgspec.Struct):
        changes: list[Change]

    decode = msgspec.json.Decoder(Entry).decode
    seen: set[str] = set()
    end = "+"
    while True:
        entries: Any = await redis.xrevrange(key, max=end, count=PAGE)
        if not entries:
            return
        page: dict[str, None] = {}
        for _, fields in entries:
            for change in reversed(decode(fields[b"data"]).changes):
                if change.client_order_id and change.client_order_id not in seen:
                    page[change.client_order_id] = None
        seen |= page.keys()
        if page:
            yield list(page)
        end = f"({entries[-1][0].decode()}"


def _table(rows: Sequence[dict[str, Any]]) -> Any:
    columns = [
        "client order id",
        "account",
        "symbol",
        "side",
        "type",
        "#quantity",
        "#price",
        "status",
        "#filled",
        "note",
    ]
    return output.table(
        "",
        columns,
        [
            [
                *(one[name] for name in ("client_order_id", "account", "symbol", "side", "type", "quantity", "price")),
                one["status"],
                one["filled"],
                "; ".join(
                    [
                        *(["cancel requested"] if one["cancel_requested"] and one["status"] not in TERMINAL else []),
                        *([one["reason"]] if one["reason"] else []),
                        *one["anomalies"],
                    ]
                ),
            ]
            for one in rows
        ],
    )
