"""What every command shares: exit codes, sentences for errors, tables for people, one JSON document for programs."""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, ParamSpec

import typer

from streams.errors import BadIntent, FillonceError, UsageError
from streams.money import text

DONE: Final = 0
WRONG: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

# Without a terminal nobody breaks lines for a window; a log or a pipe takes longer ones.
WIDTH_WITHOUT_TERMINAL: Final = 200
# Less is done before a bar would be drawn.
PROGRESS_FROM: Final = 1_000

P = ParamSpec("P")


def guarded(command: Callable[P, int]) -> Callable[P, None]:
    """Turn a command's exit code and errors into an exit: a user's mistake is a sentence, never a trace."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
            sys.stdout.flush()
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BrokenPipeError:
            # Whoever read us has left; what Python still holds must not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = WRONG
        except Exception as error:
            known = explained(error)
            if known is None:
                raise
            sentence, code = known
            say(sentence)
        raise typer.Exit(code)

    return run


def explained(error: Exception) -> tuple[str, int] | None:
    """Give an error's sentence and exit code; None when it is a defect of the program."""
    if isinstance(error, UsageError | BadIntent):
        return str(error), USAGE
    if isinstance(error, FillonceError):
        return str(error), WRONG
    from redis.exceptions import RedisError

    if isinstance(error, RedisError):
        return f"Redis did not answer as it should ({type(error).__name__}); see `fillonce check`.", WRONG
    return None


def say(sentence: str) -> None:
    """Write one sentence for a person to standard error."""
    sys.stderr.write(f"{clean(sentence)}\n")
    sys.stderr.flush()


def document(value: object) -> None:
    """Write one JSON document to standard output: decimals as canonical text, keys in the order given."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.flush()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Any:
    """Make a table; columns whose name begins with `#` are numbers and stand to the right."""
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        made.add_column(column.lstrip("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    for row in rows:
        # As Text, because a reason of the venue's could look like markup.
        made.add_row(*(Text(clean(cell_text(cell))) for cell in row))
    return made


def show(*parts: Any) -> None:
    """Write tables and lines for people to standard output."""
    made = console()
    for part in parts:
        made.print(part)


def console() -> Any:
    """Make a console on standard output that takes nothing for markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_WITHOUT_TERMINAL
    return Console(width=width, highlight=False, markup=False, emoji=False)


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Show the progress of long work on standard error, where somebody watches; yields what moves it on."""
    if total < PROGRESS_FROM or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def cell_text(value: object) -> str:
    """Write one cell."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return text(value)
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def duration(ms: int) -> str:
    """Write a duration in the unit a person would choose: `850 ms`, `12 s`, `3 min`, `5 h`, `2 d`."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if ms >= size * (1 if unit == "s" else 2):
            return f"{ms // size} {unit}"
    return f"{max(ms, 0)} ms"


def clean(words: str) -> str:
    """Take out control characters: what a venue or a file says must not steer a terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in words)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
