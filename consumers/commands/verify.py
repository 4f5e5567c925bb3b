"""`fillonce verify`: fold the journal and compare it with what is stored, or show the state as it was."""

import asyncio
import re
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from consumers.commands import output
from consumers.commands.connecting import chosen_accounts, connected, settings_of
from streams.errors import UsageError
from streams.settings import Settings

# A journal that grows while it is folded is folded again; a busy account is verified when it rests.
TRIES: Final = 5
ENTRY_ID: Final = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")


def verify(
    ctx: typer.Context,
    *,
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    as_of: Annotated[
        str, typer.Option(metavar="TIME|ID", help="Show orders and positions as they were; an entry id or RFC 3339.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Fold the journal from its beginning and compare it with the stored state, field by field.

    Exit code 1 when they differ: the fields that do are listed, with the journal's last entry about each. Also when
    the account was written in each of five tries, so that the two could not be compared.

    \b
    Examples:
      fillonce verify
      fillonce verify --account binance.main --json
      fillonce verify --account binance.main --as-of 2026-11-21T10:00:00Z
    """  # noqa: D301 - \b tells the help to keep the lines
    settings = settings_of(ctx)
    if as_of:
        rows = asyncio.run(_as_of(settings, account, entry_at(as_of)))
        _show_state(rows, as_json=as_json)
        return output.DONE
    rows = asyncio.run(_verdicts(settings, account))
    if as_json:
        output.document({"accounts": rows})
    else:
        columns = ["account", "verdict", "#entries", "#orders", "hash"]
        cells = [[one["account"], _word(one), one["entries"], one["orders"], one["stored"][:16]] for one in rows]
        output.show(output.table("", columns, cells))
        for one in rows:
            _show_differences(one)
            if not one["compared"]:
                output.show(
                    f"{one['account']} could not be compared: it was written in each of {TRIES} tries. Stop what "
                    "writes it (fillonce halt keeps new orders from it), or show the state at one entry with --as-of."
                )
    return output.DONE if all(one["good"] for one in rows) else output.WRONG


def _word(row: dict[str, Any]) -> str:
    if not row["compared"]:
        return "being written"
    return "good" if row["good"] else "DIFFERS"


def entry_at(words: str) -> str:
    """Turn a time or an entry id into the last entry id to fold.

    Raises:
        UsageError: it is neither.
    """
    from streams.schemas import epoch_ms

    if ENTRY_ID.fullmatch(words):
        return words
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        raise UsageError(f"{words!r} is neither an entry id nor a time like 2026-11-21T10:00:00Z.") from None
    if moment.tzinfo is None:
        raise UsageError(f"{words!r} needs a time zone, for example {words}Z.")
    return str(epoch_ms(moment))


async def _verdicts(settings: Settings, account: str) -> list[dict[str, Any]]:
    from streams.keys import AccountKeys
    from streams.verify import verify as compare

    rows: list[dict[str, Any]] = []
    async with connected(settings) as redis:
        for name in await chosen_accounts(redis, settings, account):
            keys = AccountKeys(name)
            compared = False
            for _ in range(TRIES):
                before = await _last(redis, keys.events)
                found = await compare(redis, keys)
                # What parts within the journal does so whatever is written behind it.
                compared = found.good or found.parted is not None or before == await _last(redis, keys.events)
                if compared:
                    break
            rows.append(
                {
                    "account": name, "good": found.good, "compared": compared, "entries": found.entries,
                    "orders": found.orders, "stored": found.stored, "folded": found.folded,
                    "differences": [
                        {
                            "key": one.key, "field": one.field, "stored": one.stored, "folded": one.folded,
                            "last_entry": one.entry,
                        }
                        for one in (found.differences if compared else ())
                    ],
                    "parted": None if found.parted is None else {
                        "entry": found.parted.entry, "client_order_id": found.parted.client_order_id,
                        "reason": found.parted.reason,
                    },
                }
            )  # fmt: skip
    return rows


async def _last(redis: Any, stream: str) -> bytes:
    rows = await redis.xrevrange(stream, count=1)
    return bytes(rows[0][0]) if rows else b""


async def _as_of(settings: Settings, account: str, until: str) -> list[dict[str, Any]]:
    from streams.keys import AccountKeys
    from streams.verify import rebuild

    rows: list[dict[str, Any]] = []
    async with connected(settings) as redis:
        for name in await chosen_accounts(redis, settings, account):
            rebuilt = await rebuild(redis, AccountKeys(name), until)
            orders = [
                {
                    "client_order_id": order.client_order_id, "status": order.status,
                    "symbol": order.terms.symbol if order.terms else "", "filled": order.state.filled,
                }
                for order in rebuilt.orders()
            ]  # fmt: skip
            held = [{"symbol": symbol, "quantity": one.quantity} for symbol, one in rebuilt.positions().items()]
            rows.append({"account": name, "as_of": until, "orders": orders, "positions": held})
    return rows


def _show_state(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.document({"accounts": rows})
        return
    for one in rows:
        columns = ["client order id", "status", "symbol", "#filled"]
        output.show(output.table(f"{one['account']} orders", columns, [list(row.values()) for row in one["orders"]]))
        positions = [list(row.values()) for row in one["positions"]]
        output.show(output.table(f"{one['account']} positions", ["symbol", "#quantity"], positions))


def _show_differences(one: dict[str, Any]) -> None:
    if one["parted"] is not None:
        parted = one["parted"]
        output.show(f"first entry that parts: {parted['entry']} {parted['client_order_id']}: {parted['reason']}")
    if one["differences"]:
        columns = ["key", "field", "stored", "folded", "last entry"]
        output.show(output.table("differences", columns, [list(row.values()) for row in one["differences"]]))
