"""`fillonce venues`: what each venue declares of itself."""

import sys
from typing import Annotated

import msgspec
import typer

from consumers.commands import output


def venues(
    name: Annotated[
        str, typer.Argument(help="One venue, ccxt:<id>, or module:attribute of your own; all without.")
    ] = "",
    *,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The table of the README.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Show what a venue takes, refuses, remembers and counts; the rules of the pipeline follow from it.

    \b
    Examples:
      fillonce venues
      fillonce venues binance --json
      fillonce venues ccxt:okx
    """  # noqa: D301 - \b tells the help to keep the lines
    from adapters import declared, registry

    found = {one: registry.facts(one) for one in ([name] if name else registry.names())}
    if as_json:
        output.document({"venues": [msgspec.to_builtins(facts) for facts in found.values()]})
    elif as_markdown:
        sys.stdout.write(declared.markdown(found))  # a table of Markdown has no line breaks within a row
    else:
        columns = {one: declared.table(facts) for one, facts in found.items()}
        rows = [
            [subject, *(column[subject] for column in columns.values())] for subject in next(iter(columns.values()))
        ]
        more = (
            [] if name else ["Any other exchange that ccxt knows is ccxt:<id>; `fillonce venues ccxt:okx` shows one."]
        )
        output.show(output.table("", ["", *columns], rows), *more)
    return output.DONE
