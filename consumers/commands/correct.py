"""`fillonce adjust` and `correct`: a person's word on what is held, on an execution, and on an order that is lost."""

import asyncio
import getpass
import hashlib
import secrets
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from consumers.commands import output
from consumers.commands.connecting import connected, only_account, settings_of
from streams.errors import UsageError
from streams.money import in_bounds, plain
from streams.schemas import Adjustment, Command, Correction, Evidence, Execution, PositionSide, Refused, Side
from streams.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from streams.keys import AccountKeys

# The ledger applies an entry within milliseconds; without one it waits, and that is said.
APPLIED_S: Final = 5.0
POLL_S: Final = 0.05

Reason = Annotated[str, typer.Option(help="Why; it stays in the journal with who said so.")]
Account = Annotated[str, typer.Option(help="Which account; default the only one.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def adjust(
    ctx: typer.Context,
    *,
    reason: Reason,
    account: Account = "",
    asset: Annotated[str, typer.Option(help="What the account holds more, or less, of.")] = "",
    amount: Annotated[str, typer.Option(help="How much; negative is less.")] = "",
    symbol: Annotated[str, typer.Option(help="Instead: the position of this symbol moved.")] = "",
    side: Annotated[Side | None, typer.Option(help="Which way it moved.")] = None,
    quantity: Annotated[str, typer.Option(help="By how much, in base units.")] = "",
    price: Annotated[str, typer.Option(help="At which price it moved.")] = "",
    position_side: Annotated[PositionSide, typer.Option(help="Which of the symbol's positions.")] = "net",
    name: Annotated[str, typer.Option("--id", help="The same id is booked once, however often it is said.")] = "",
    as_json: AsJson = False,
) -> int:
    """Book a change of what an account holds, or of a position, that no order made and the venue did not tell.

    It is an adjustment of its own, with who and why, and never a fill.

    \b
    Examples:
      fillonce adjust --asset BNB --amount -0.5 --reason "moved to cold storage"
      fillonce adjust --symbol BTC/USDT:USDT --side sell --quantity 1 --price 60000 --reason "closed by the desk"
    """  # noqa: D301 - \b tells the help to keep the lines
    if bool(asset and amount) == bool(symbol and side and quantity and price):
        raise UsageError("Give --asset and --amount, or --symbol, --side, --quantity and --price.")
    amounts = {asset.upper(): _amount("--amount", amount, signed=True)} if asset else {}
    moved = (symbol, side, _amount("--quantity", quantity), _amount("--price", price)) if symbol and side else None
    known = f"manual:{name or secrets.token_hex(8)}"

    def say(venue_symbol: str, at_ms: int) -> Adjustment:
        execution = None
        if moved is not None:
            _, way, size, at = moved
            execution = Execution(
                venue_symbol=venue_symbol, venue_order_id="manual", trade_id=known, side=way, quantity=size, price=at,
                executed_at_ms=at_ms,
            )  # fmt: skip
        return Adjustment(
            id=known, cause="manual", amounts=amounts, at_ms=at_ms, execution=execution, position_side=position_side,
            reason=_signed(reason),
        )  # fmt: skip

    told = asyncio.run(_adjust(settings_of(ctx), account, symbol, say))
    return _tell(told, as_json=as_json)


def correct(
    ctx: typer.Context,
    *,
    client_order_id: Annotated[str, typer.Argument(metavar="CLIENT_ORDER_ID", help="Whose execution it was.")],
    execution_id: Annotated[str, typer.Argument(metavar="EXECUTION_ID", help="As `fillonce trace` names it.")] = "",
    reason: Reason,
    account: Account = "",
    price: Annotated[str, typer.Option(help="It stands at this price instead of being taken back.")] = "",
    quantity: Annotated[str, typer.Option(help="It stands with this quantity instead.")] = "",
    fee: Annotated[str, typer.Option(help="It stands with this fee instead; negative is a rebate.")] = "",
    lost: Annotated[bool, typer.Option("--lost", help="Instead: the venue never had this unknown order.")] = False,
    as_json: AsJson = False,
) -> int:
    """Take back an execution that the venue does not stand by, or tell it anew; its order and its position follow.

    With --lost: end an order that stays unknown because the venue has forgotten whether it had it; `status` names
    those. It is not sent again, and should the venue show it after all, that counts.

    \b
    Examples:
      fillonce correct fo-2vX9… 4000000001:700000001 --reason "busted by the venue, ticket 4711"
      fillonce correct fo-2vX9… 4000000001:700000001 --price 60010.5 --reason "price corrected by the venue"
      fillonce correct fo-2vX9… --lost --reason "not in the venue's export, ticket 4712"
    """  # noqa: D301 - \b tells the help to keep the lines
    if lost == bool(execution_id) or (lost and (price or quantity or fee)):
        raise UsageError("Give the id of an execution, or --lost alone.")
    if lost:
        ended = asyncio.run(_lose(settings_of(ctx), account, client_order_id, _signed(reason)))
        if isinstance(ended, str):
            output.say(ended)
            return output.WRONG
        return _tell(ended, as_json=as_json)
    anew: dict[str, Decimal] = {}
    for option, given in (("price", price), ("quantity", quantity), ("fee", fee)):
        if given:
            anew[option] = _amount(f"--{option}", given, signed=option == "fee")
    told = asyncio.run(_correct(settings_of(ctx), account, (client_order_id, execution_id), anew, _signed(reason)))
    if told is None:
        output.say(f"{client_order_id} has no execution {execution_id}; see `fillonce trace {client_order_id}`.")
        return output.WRONG
    return _tell(told, as_json=as_json)


async def _adjust(settings: Settings, account: str, symbol: str, say: Any) -> dict[str, Any]:
    from streams.instrument import tabulate
    from streams.keys import AccountKeys
    from streams.store import Store

    async with connected(settings) as redis:
        name = only_account(settings, account)
        store = Store(redis, AccountKeys(name))
        venue_symbol = ""
        if symbol:
            known = tabulate(await store.instruments()).by_symbol
            if symbol not in known:
                raise UsageError(f"{name} does not trade {symbol}; it trades {', '.join(sorted(known)) or 'nothing'}.")
            venue_symbol = known[symbol].venue_symbol
        told = say(venue_symbol, await store.now_ms())
        applied = await _write(redis, AccountKeys(name), Evidence(source="person", received_at_ns=0, adjustment=told))
        return {"account": name, "id": told.id, "reason": told.reason, "applied": applied}


async def _correct(
    settings: Settings, account: str, wanted: tuple[str, str], anew: Mapping[str, Decimal], reason: str
) -> dict[str, Any] | None:
    from msgspec.structs import replace

    from consumers.concluding import counted
    from streams import codec
    from streams.keys import AccountKeys
    from streams.store import Store
    from streams.trace import trace

    async with connected(settings) as redis:
        name = only_account(settings, account)
        keys = AccountKeys(name)
        store = Store(redis, keys)
        [order] = await store.orders([wanted[0]])
        steps = await trace(redis, keys, wanted[0], order, lambda _: None)
        execution = counted([step.change for step in steps]).get(wanted[1])
        if execution is None:
            return None
        instead = replace(execution, **anew) if anew else None
        mark = hashlib.sha256(codec.encode([execution, instead])).hexdigest()[:16]
        told = Correction(
            id=f"manual:{mark}", execution=execution, instead=instead, corrected_at_ms=await store.now_ms(),
            reason=reason,
        )  # fmt: skip
        applied = await _write(redis, keys, Evidence(source="person", received_at_ns=0, fact=told))
        return {"account": name, "id": told.id, "reason": reason, "applied": applied}


async def _lose(settings: Settings, account: str, client_order_id: str, reason: str) -> dict[str, Any] | str:
    """End an order of which only a person can say what became; a sentence where that is not so."""
    from adapters.registry import facts
    from consumers.lookup import for_a_person_ms
    from streams import store
    from streams.keys import AccountKeys

    async with connected(settings) as redis:
        name = only_account(settings, account)
        keys = AccountKeys(name)
        reads = store.Store(redis, keys)
        [order] = await reads.orders([client_order_id])
        if order is None:
            return f"There is no order {client_order_id}."
        if order.status != "unknown" or order.state.venue_order_ids:
            return (
                f"{client_order_id} is {order.status}; only what is unknown, and was never named by the venue, is lost."
            )
        info = (await store.accounts(redis)).get(name)
        if info is None or await reads.now_ms() < for_a_person_ms(order.send_by_ms, facts(info.venue)):
            return f"The venue can still tell what became of {client_order_id}; it is asked again and again."
        # Refused and not absent: what rests on a person's word is never sent again.
        told = Command(client_order_id=client_order_id, token=order.token, outcome=Refused("person", reason))
        applied = await _write(redis, keys, Evidence(source="person", received_at_ns=0, command=told))
        return {"account": name, "id": client_order_id, "reason": reason, "applied": applied}


async def _write(redis: "Redis", keys: "AccountKeys", said: Evidence) -> bool:
    """Write a person's word into `evidence`; whether the ledger has applied it."""
    from msgspec.structs import replace

    from streams.evidence import append
    from streams.store import Store

    await append(redis, keys, [(replace(said, received_at_ns=time.time_ns()), b"")])
    for _ in range(int(APPLIED_S / POLL_S)):
        backlog = (await Store(redis, keys).backlog())["evidence"]
        if not backlog["lag"] + backlog["pending"]:
            return True
        await asyncio.sleep(POLL_S)
    return False


def _tell(told: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        output.document(dict(told))
    elif told["applied"]:
        output.show(f"{told['account']}: {told['id']} is booked.")
    if not told["applied"]:
        output.say("It is written and not applied yet; is the pipeline running?")
    return output.DONE


def _amount(option: str, given: str, *, signed: bool = False) -> Decimal:
    try:
        value = plain(Decimal(given))
    except ArithmeticError:
        raise UsageError(f"{option} must be a decimal like 0.5, not {given!r}.") from None
    if not in_bounds(abs(value)) or (value < 0 and not signed):
        raise UsageError(f"{option} must be a decimal of ordinary size like 0.5, not {given!r}.")
    return value


def _signed(reason: str) -> str:
    return f"{reason} ({getpass.getuser()})"
