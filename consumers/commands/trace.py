"""`fillonce trace`: the story of one order, from the signal to the position, with the venue's own words."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from consumers.commands import output
from consumers.commands.connecting import chosen_accounts, connected, settings_of
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.trace import Step

RAW_SHOWN: Final = 160


def trace(
    ctx: typer.Context,
    *,
    client_order_id: Annotated[str, typer.Argument(metavar="CLIENT_ORDER_ID", help="The order to tell of.")],
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Tell an order's story: each step with its time, its cause and the payloads behind it.

    \b
    Examples:
      fillonce trace fo-2vX9…
      fillonce trace fo-2vX9… --json
    """  # noqa: D301 - \b tells the help to keep the lines
    found = asyncio.run(_find(settings_of(ctx), account, client_order_id))
    if found is None:
        output.say(f"The journal says nothing of an order {client_order_id}; see `fillonce orders`.")
        return output.WRONG
    name, status, steps = found
    rows = [_row(step) for step in steps]
    if as_json:
        output.document({"client_order_id": client_order_id, "account": name, "status": status, "steps": rows})
        return output.DONE
    output.show(f"{client_order_id}  {name}  {status}")
    output.show(output.table("", ["at", "what", "because of"], [_cells(row) for row in rows]))
    return output.DONE


async def _find(settings: Settings, account: str, wanted: str) -> "tuple[str, str, list[Step]] | None":
    from streams.keys import AccountKeys
    from streams.store import Store
    from streams.trace import trace as read

    async with connected(settings) as redis:
        for name in await chosen_accounts(redis, settings, account):
            keys = AccountKeys(name)
            [order] = await Store(redis, keys).orders([wanted])
            if order is None and not account and len(settings.accounts) > 1:
                continue  # a journal is read to its beginning for a forgotten order only where one was named
            with output.progress(int(await redis.xlen(keys.events)), "reading the journal backwards") as moved:
                steps = await read(redis, keys, wanted, order, moved)
            if steps:
                return name, order.status if order else "forgotten", steps
    return None


def _row(step: "Step") -> dict[str, Any]:
    from streams import events
    from streams.cause import cause
    from streams.schemas import from_ms
    from streams.story import fact_sentence, sentence

    facts = step.change.facts if isinstance(step.change, events.Updated) else ()
    return {
        "at": from_ms(step.at_ms),
        "event": step.entry,
        "id": step.change.id,
        "says": sentence(step.change),
        "cause": cause(step.change),
        "facts": [fact_sentence(fact) for fact in facts],
        "evidence": [
            {
                "entry": one.entry,
                "source": one.source,
                "finding": one.finding,
                "received_at": from_ms(one.received_at_ns // 1_000_000) if one.received_at_ns else None,
                "format": one.format,
                "raw": one.raw.decode(errors="replace"),
            }
            for one in step.pieces
        ],
    }


def _cells(row: dict[str, Any]) -> Sequence[str]:
    what = [*row["facts"], row["says"]]
    because = [row["cause"], *(f"{_source(one)} {one['entry']}  {_short(one['raw'])}" for one in row["evidence"])]
    return (row["at"].isoformat(timespec="milliseconds"), "; ".join(what), "  ".join(because))


def _source(piece: dict[str, Any]) -> str:
    return f"{piece['source']} (finding {piece['finding']})" if piece["finding"] else str(piece["source"])


def _short(raw: str) -> str:
    return raw if len(raw) <= RAW_SHOWN else f"{raw[:RAW_SHOWN]}… (--json shows all)"
