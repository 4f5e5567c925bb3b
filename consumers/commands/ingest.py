"""`fillonce ingest`: recorded venue payloads onto the streams as they are, and what the ledger made of each."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from consumers.commands import output
from consumers.commands.connecting import settings_of
from streams.errors import UsageError
from streams.settings import Settings

FILE_BYTES_MAX: Final = 32 * 1024 * 1024
FILES_MAX: Final = 10_000
REASON_CHARS: Final = 160
NO_RECORD: Final = "no record of order "
VERDICTS: Final = ("applied", "parked", "ignored", "repeated", "quarantined", "none")

Row = dict[str, Any]


def ingest(
    ctx: typer.Context,
    *,
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Recorded payloads; folders are walked.")],
    venue: Annotated[str, typer.Option(help="Whose payloads, for example binance.")],
    account: Annotated[
        str,
        typer.Option(
            help="Into this account of a pipeline that runs; default an account of its own on a private server."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Put recorded venue payloads on the streams and report what the ledger made of each.

    Verdicts: applied to an order or to what the account holds, parked until its order is known,
    ignored, repeated (nothing new in it), quarantined with the reason. Exit code 1 when a payload
    got none.

    \b
    Examples:
      fillonce ingest --venue binance recorded/*.json
      fillonce ingest --venue binance --account binance.main frames.jsonl --json
    """  # noqa: D301 - \b tells the help to keep the lines
    from adapters import registry

    settings = settings_of(ctx)
    sniff = registry.sniffer(venue)
    name = account or f"{registry.facts(venue).name}.ingest"
    payloads: list[Row] = []
    unreadable: list[Row] = []
    for file in _expanded(files):
        data, why = _read(file)
        if why:
            unreadable.append({"file": str(file), "reason": why})
            continue
        for index, found in enumerate(_sniffed(sniff, data)):
            payloads.append(
                {"file": str(file), "index": index, "kind": found.format or f"{venue.partition(':')[0]}.unrecognised",
                 "why": found.reason, "raw": found.raw}
            )  # fmt: skip
    where = asyncio.run(_ingest(settings, venue, name, payloads, pipeline=bool(account)))
    rows = [_row(one) for one in payloads]
    if as_json:
        output.document(
            {
                "venue": venue, "account": name, "server": where, "files": len({one["file"] for one in rows}),
                "counts": _counts(rows), "kinds": _kinds(rows), "reasons": _reasons(rows), "unreadable": unreadable,
                "payloads": rows,
            }
        )  # fmt: skip
    else:
        _show(rows, unreadable, where)
    without = sum(one["verdict"] == "none" for one in rows)
    if without:
        output.say(f"{without} payloads got no verdict in time; is the ledger of {name} up? See `fillonce status`.")
    return output.WRONG if without or unreadable else output.DONE


def _expanded(names: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for name in names:
        path = Path(name)
        files += sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    if len(files) > FILES_MAX:
        raise UsageError(f"{len(files)} files are too many for one call; give at most {FILES_MAX}.")
    return files


def _read(file: Path) -> tuple[bytes, str]:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return b"", error.strerror or type(error).__name__
    if len(data) > FILE_BYTES_MAX:
        return b"", f"more than {FILE_BYTES_MAX // 1024 // 1024} MiB; split it"
    return data, ""


def _sniffed(sniff: Any, data: bytes) -> Sequence[Any]:
    from adapters.recorded import Recorded

    try:
        return list(sniff(data))
    except Exception as error:  # noqa: BLE001 - a venue of somebody else's: its defect must not hide the other files
        return [Recorded("", data, f"the venue's module cannot take it apart ({type(error).__name__})")]


async def _ingest(settings: Settings, venue: str, account: str, payloads: list[Row], *, pipeline: bool) -> str:
    """Have every payload judged; says by which server."""
    from consumers.commands import evidence
    from consumers.commands.connecting import connected
    from streams.errors import ServerError

    if pipeline and account in settings.accounts:
        try:
            async with connected(settings) as redis:
                await evidence.through_pipeline(redis, account, payloads)
                return "pipeline"
        except ServerError:
            pass  # no pipeline runs on the data directory
    if payloads:
        await evidence.through_private_server(venue, account, payloads)
    return "private"


def _row(one: Row) -> Row:
    # What has no format is quarantined for that; why it has none is the reason a reader looks for.
    reason = one["why"] or one.get("reason", "")
    return {
        "file": one["file"], "index": one["index"], "kind": one["kind"], "entry": one.get("entry", ""),
        "verdict": one.get("verdict", "none"), "reason": reason,
    }  # fmt: skip


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    counts = dict.fromkeys(VERDICTS, 0)
    for one in rows:
        counts[one["verdict"]] += 1
    return counts


def _kinds(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    return {kind: _counts(one for one in rows if one["kind"] == kind) for kind in sorted({one["kind"] for one in rows})}


def _reasons(rows: Sequence[Row]) -> list[Row]:
    counts: dict[tuple[str, str, str], int] = {}
    for one in rows:
        # Which order it was stands beside the payload; here it would make every reason one of its own.
        reason = "no record of its order here" if one["reason"].startswith(NO_RECORD) else one["reason"]
        key = (one["kind"], one["verdict"], reason[:REASON_CHARS])
        counts[key] = counts.get(key, 0) + 1
    return [
        {"kind": kind, "verdict": verdict, "reason": reason, "count": count}
        for (kind, verdict, reason), count in sorted(counts.items())
    ]


def _show(rows: Sequence[Row], unreadable: Sequence[Row], where: str) -> None:
    kinds = [[kind, *counts.values()] for kind, counts in _kinds(rows).items()]
    why = [[one["kind"], one["verdict"], one["count"], one["reason"]] for one in _reasons(rows)]
    parts: list[Any] = [
        output.table("what became of it", ["kind", *(f"#{word}" for word in VERDICTS)], kinds),
        output.table("why", ["kind", "verdict", "#payloads", "reason"], why),
    ]
    if unreadable:
        parts.append(output.table("not read", ["file", "why"], [[one["file"], one["reason"]] for one in unreadable]))
    files = len({one["file"] for one in rows})
    by = "a private server; nothing of it stays" if where == "private" else "the pipeline that runs"
    output.show(*parts, f"{len(rows)} payloads of {files} files, decoded by the ledger of {by}.")
