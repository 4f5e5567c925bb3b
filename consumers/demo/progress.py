"""What a person sees of the demo: a line while it runs, a table at its end; and the same as JSON."""

import sys
from types import TracebackType
from typing import Self

import orjson
from msgspec.structs import asdict
from rich.console import Console
from rich.table import Table

from consumers.demo.orchestrate import Progress, Result

DEFECTS = (
    "intents_with_more_than_one_order",
    "fills_missing",
    "fills_doubled",
    "position_mismatches",
    "unknown_left",
)
# Without a terminal a line now and then is enough.
PLAIN_EVERY_S = 5.0


class Screen:
    """Shows progress on standard error: one line that is rewritten, or a line now and then."""

    def __init__(self, *, quiet: bool) -> None:
        """With `quiet` nothing is shown."""
        self._quiet, self._console = quiet, Console(file=sys.stderr)
        self._status = self._console.status("starting") if self._console.is_terminal and not quiet else None
        self._said_s = -PLAIN_EVERY_S
        self._phase = ""

    def __enter__(self) -> Self:
        """Begin."""
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, whatever happened."""
        if self._status is not None:
            self._status.stop()

    def show(self, now: Progress) -> None:
        """Show a moment."""
        line = (
            f"{now.phase:<9} {now.seconds:5.1f} s  orders {now.orders:>6}  fills {now.fills:>6}  "
            f"duplicates refused {now.duplicates_refused:>6}  faults {now.faults:>5}  unknown {now.unknown:>3}  "
            f"lag {now.lag:>5}"
        )
        if self._status is not None:
            self._status.update(line)
        elif not self._quiet and (now.phase != self._phase or now.seconds - self._said_s >= PLAIN_EVERY_S):
            self._said_s, self._phase = now.seconds, now.phase
            sys.stderr.write(line + "\n")


def to_json(result: Result) -> str:
    """Write the result for programs."""
    return orjson.dumps(_flat(result), option=orjson.OPT_INDENT_2).decode()


def report(result: Result) -> None:
    """Write the result for people."""
    console = Console()
    table = Table(title="The pipeline against the venue's own books", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in _flat(result).items():
        if not isinstance(value, int | float):
            continue
        bad = name in DEFECTS and value
        style = "bold red" if bad else "green" if name in DEFECTS else ""
        table.add_row(name.replace("_", " "), f"{value:,}", style=style)
    console.print(table)
    happened = ", ".join(f"{kind} {count}" for kind, count in result.faults.items())
    console.print(f"faults: {happened or 'none were asked for'}", highlight=False)
    if result.blows:
        struck = f"kills: {result.blows.kills}  pauses: {result.blows.pauses}  stream gaps: {result.blows.gaps}"
        console.print(struck, highlight=False)
    for detail in result.audit.details:
        console.print(f"  {detail}", style="red", highlight=False)
    if not result.verified.good:
        console.print("the stored state is not the fold of the journal:", style="red")
        for one in result.verified.differences:
            console.print(f"  {one.key} {one.field}: {one.stored} stored, {one.folded} folded", highlight=False)
    if result.faults_missing:
        console.print(f"asked for and did not happen: {', '.join(result.faults_missing)}", style="red")
    console.print("good: every order once, every fill once" if result.good else "NOT GOOD", style="bold")


def _blows(result: Result) -> dict[str, object]:
    blows = result.blows
    return {"kills": blows.kills, "pauses": blows.pauses, "stream_gaps": blows.gaps} if blows else {}


def _flat(result: Result) -> dict[str, object]:
    audited = asdict(result.audit)
    details = audited.pop("details")
    return {
        "intents": audited.pop("intents"),
        "signals_published": result.signals_published,
        "duplicates_refused": result.duplicates_refused,
        **audited,
        "faults": result.faults,
        "faults_missing": result.faults_missing,
        **_blows(result),
        "seconds": result.seconds,
        "restarts": result.restarts,
        "journal_entries": result.verified.entries,
        "state_hash": result.verified.stored,
        "journal_hash": result.verified.folded,
        "details": details,
    }
