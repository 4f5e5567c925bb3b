"""`fillonce publish`: intents from a file or from flags; each is answered, and publishing again does no harm."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from consumers.commands import documents, output
from consumers.commands.connecting import connected, only_account, person, settings_of
from streams.codec import decode_intent
from streams.errors import BadIntent, IntentConflict, StoreError, UsageError
from streams.schemas import Intent
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.producer import IntentProducer, Receipt

# More answers than this are summed up for people, and only refusals are listed.
LISTED_MAX: Final = 50
REFUSALS_LISTED_MAX: Final = 200
REFUSED: Final = ("conflict", "refused", "unpublished")

NAMES: Final = frozenset({"account", "strategy", "signal_id", "leg"})
AMENDED: Final = frozenset({"revision", "signal_time", "quantity", "price", "valid_until", "rounding"})

Answer = dict[str, Any]


def publish(
    ctx: typer.Context,
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="[FILE|-]",
            help="JSON intents: one a line, or one array or object; - reads standard input. "
            "With --cancel or --amend: a client order id.",
        ),
    ] = "",
    account: Annotated[str, typer.Option(help="Account; default the only one of the settings.")] = "",
    strategy: Annotated[str, typer.Option(help="Who decided.")] = "",
    signal_id: Annotated[str, typer.Option(help="The strategy's id of the signal.")] = "",
    signal_time: Annotated[
        str, typer.Option(help="When the signal was true, with a time zone (2026-11-20T12:00:00Z), or `now`.")
    ] = "",
    symbol: Annotated[str, typer.Option(help="For example BTC/USDT.")] = "",
    side: Annotated[str, typer.Option(metavar="buy|sell", help="Side.")] = "",
    type_: Annotated[str, typer.Option("--type", metavar="limit|market", help="Order type.")] = "limit",
    quantity: Annotated[
        str, typer.Option(help="In base units; with --amend of the whole order, executions included.")
    ] = "",
    price: Annotated[str, typer.Option(help="Of a limit order, in quote units.")] = "",
    time_in_force: Annotated[str, typer.Option(metavar="gtc|ioc|fok|gtd", help="Time in force.")] = "",
    post_only: Annotated[bool, typer.Option("--post-only", help="Refuse rather than take liquidity.")] = False,
    reduce_only: Annotated[bool, typer.Option("--reduce-only", help="Never increase the position.")] = False,
    position_side: Annotated[str, typer.Option(metavar="net|long|short", help="Where a venue has two.")] = "",
    valid_until: Annotated[
        str, typer.Option(help="Expired, not sent, after it; default an hour after the signal.")
    ] = "",
    leg: Annotated[str, typer.Option(help="Tells the orders of one signal apart.")] = "",
    rounding: Annotated[str, typer.Option(metavar="down|nearest", help="Bring amounts onto the venue's grid.")] = "",
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Free words; may be repeated.")] = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel, by client order id or by --strategy, --signal-id, --leg.")
    ] = False,
    amend: Annotated[
        int,
        typer.Option("--amend", metavar="REVISION", help="Give a resting order other terms; 1, then always higher."),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Publish intents: from a file, or one from flags.

    Publishing an intent again answers with its order as it stands; other content under
    the same identity is refused. Exit code 1 when any intent was refused.

    \b
    Examples:
      fillonce publish intents.jsonl
      my-strategy | fillonce publish - --json
      fillonce publish --strategy me --signal-id s1 --signal-time now \\
          --symbol BTC/USDT --side buy --quantity 0.01 --price 60000
      fillonce publish --cancel fo-2vX9…
      fillonce publish --cancel --strategy me --signal-id s1
      fillonce publish --amend 1 fo-2vX9… --signal-time now --quantity 0.02 --price 59990
      fillonce publish --amend 2 --strategy me --signal-id s1 --signal-time now --quantity 0.02 --price 59980
    """  # noqa: D301 - \b tells the help to keep the lines
    settings = settings_of(ctx)
    flags: dict[str, Any] = {
        "account": account, "strategy": strategy, "signal_id": signal_id, "signal_time": signal_time,
        "symbol": symbol, "side": side, "quantity": quantity, "price": price, "time_in_force": time_in_force,
        "post_only": post_only, "reduce_only": reduce_only, "position_side": position_side,
        "valid_until": valid_until, "leg": leg, "rounding": rounding, "tags": _tags(tag or ()),
    }  # fmt: skip
    given = {name: value for name, value in flags.items() if value}
    intents: list[Intent | BadIntent]
    if cancel and amend:
        raise UsageError("Cancel an order or amend it; not both.")
    if cancel:
        intents = [_cancel(given, source, settings)]
    elif amend:
        intents = [_amend({**given, "revision": amend}, source, settings)]
    elif source and given:
        raise UsageError(f"Give a file or flags, not both; {source} holds whole intents.")
    elif source:
        intents = documents.decode(documents.read_file(source))
    elif given:
        intents = [_place({**given, "type": type_}, settings)]
    else:
        raise UsageError("Nothing to publish: give a file, - for standard input, or flags (see --help).")
    answers = asyncio.run(_publish(settings, intents))
    if as_json:
        output.document({"answers": answers, "counts": _counts(answers)})
    else:
        _show(answers)
    lost = next((one["reason"] for one in answers if one["answer"] == "unpublished"), "")
    if lost:
        output.say(lost)
    return output.WRONG if any(one["answer"] in REFUSED for one in answers) else output.DONE


def _place(given: dict[str, Any], settings: Settings) -> Intent:
    """Make one place of flags, by the way every intent goes; raises BadIntent."""
    given["account"] = only_account(settings, given.get("account", ""))
    return decode_intent(orjson.dumps({"kind": "place", **given, "signal_time": _moment(given)}))


def _cancel(given: dict[str, Any], client_order_id: str, settings: Settings) -> Intent:
    named = _about("A cancel", given, NAMES, client_order_id, settings)
    return decode_intent(orjson.dumps({"kind": "cancel", **named, "who": person()}))


def _amend(given: dict[str, Any], client_order_id: str, settings: Settings) -> Intent:
    named = _about("An amend", given, NAMES | AMENDED, client_order_id, settings)
    return decode_intent(orjson.dumps({"kind": "amend", **named, "signal_time": _moment(given)}))


def _about(
    what: str, given: dict[str, Any], takes: frozenset[str], client_order_id: str, settings: Settings
) -> dict[str, Any]:
    """Name the order that an intent is about; raises UsageError for a flag that it does not take."""
    strange = sorted(set(given) - takes)
    if strange:
        raise UsageError(f"{what} takes no --{strange[0].replace('_', '-')}.")
    account = only_account(settings, given.get("account", ""))
    return {**given, "account": account, **({"client_order_id": client_order_id} if client_order_id else {})}


def _moment(given: Mapping[str, Any]) -> str:
    moment: str = given.get("signal_time", "")
    if not moment:
        raise UsageError("Say when the signal was true with --signal-time; publishing it again must say the same.")
    return datetime.now(UTC).isoformat(timespec="milliseconds") if moment == "now" else moment


def _tags(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if bad := next((name for name, sign, _ in pairs if not sign or not name), None):
        raise UsageError(f"A tag is NAME=VALUE, not {bad!r}.")
    return {name: value for name, _, value in pairs}


async def _publish(settings: Settings, intents: Sequence[Intent | BadIntent]) -> list[Answer]:
    """Publish what can be; one answer per intent, in order."""
    from streams.producer import IntentProducer

    answers: list[Answer] = [_refused(one) for one in intents]
    by_account: dict[str, list[int]] = {}
    for index, one in enumerate(intents):
        if not isinstance(one, BadIntent):
            by_account.setdefault(one.account, []).append(index)
    if by_account:
        async with connected(settings) as redis:
            producer = IntentProducer(redis, timeout_ms=settings.redis_timeout_ms)
            with output.progress(sum(map(len, by_account.values())), "publishing") as advance:
                for indices in by_account.values():
                    await _publish_account(producer, intents, indices, answers, advance)
    return [{"number": number, **one} for number, one in enumerate(answers, start=1)]


async def _publish_account(
    producer: "IntentProducer",
    intents: Sequence[Intent | BadIntent],
    indices: Sequence[int],
    answers: list[Answer],
    advance: Callable[[int], None],
) -> None:
    from streams.scripts import BATCH_MAX

    lost: StoreError | None = None
    for start in range(0, len(indices), BATCH_MAX):
        part = indices[start : start + BATCH_MAX]
        batch: list[Intent] = [one for one in (intents[at] for at in part) if not isinstance(one, BadIntent)]
        if lost is None:
            try:
                receipts = await _receipts(producer, batch)
            except StoreError as error:
                lost = error
            else:
                for at, one, receipt in zip(part, batch, receipts, strict=True):
                    answers[at] = _answer(one, receipt)
        if lost is not None:
            for at, one in zip(part, batch, strict=True):
                answers[at] = {**_named(one), "answer": "unpublished", "reason": str(lost)}
        advance(len(part))


async def _receipts(producer: "IntentProducer", batch: Sequence[Intent]) -> "Sequence[Receipt | BadIntent]":
    """Publish a batch; when one of it cannot be published, each by itself, so that it hides no other."""
    try:
        return await producer.publish(batch)
    except BadIntent as error:
        if len(batch) == 1:
            return [error]
    return [receipt for one in batch for receipt in await _receipts(producer, [one])]


def _refused(one: Intent | BadIntent) -> Answer:
    return {"answer": "refused", "reason": str(one)} if isinstance(one, BadIntent) else {}


def _named(one: Intent) -> Answer:
    kind = one.__struct_config__.tag
    return {"kind": kind, "account": one.account, "strategy": one.strategy, "signal_id": one.signal_id, "leg": one.leg}


def _answer(one: Intent, receipt: "Receipt | BadIntent") -> Answer:
    if isinstance(receipt, IntentConflict):
        return {
            **_named(one), "answer": "conflict", "client_order_id": receipt.client_order_id,
            "stored_fingerprint": receipt.stored, "given_fingerprint": receipt.given, "reason": str(receipt),
        }  # fmt: skip
    if isinstance(receipt, BadIntent):
        return {**_named(one), "answer": "refused", "reason": str(receipt)}
    order = receipt.order
    word = "queued" if order is None else "duplicate" if receipt.duplicate else "new"
    return {
        **_named(one),
        "answer": word,
        "client_order_id": receipt.client_order_id,
        "status": None if order is None else order.status,
        "filled": None if order is None else order.state.filled,
        "reason": "" if order is None else order.reason,
    }


def _counts(answers: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = dict.fromkeys(("new", "duplicate", "queued", *REFUSED), 0)
    for one in answers:
        counts[one["answer"]] += 1
    return counts


def _show(answers: Sequence[Answer]) -> None:
    listed = answers if len(answers) <= LISTED_MAX else [one for one in answers if one["answer"] in REFUSED]
    rows = [
        [one["number"], one.get("client_order_id"), one["answer"], one.get("status"), one.get("reason")]
        for one in listed[:REFUSALS_LISTED_MAX]
    ]
    parts: list[Any] = []
    if rows:
        parts.append(output.table("", ["#no", "client order id", "answer", "status", "reason"], rows))
    if len(answers) != 1:
        parts.append(", ".join(f"{count} {word}" for word, count in _counts(answers).items() if count) or "no intents")
    output.show(*parts)
