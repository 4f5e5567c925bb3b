"""`fillonce demo`: the options, the progress line, the verdict."""

import asyncio
import sys
from typing import Annotated, Literal

import typer


def demo(  # noqa: PLR0917 - every option is named on the command line
    intents: Annotated[int, typer.Option(min=10, max=200_000, help="About how many orders to make.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Of strategies, market and faults.")] = 1,
    faults: Annotated[
        Literal["off", "default", "harsh"],
        typer.Option(help="What the venue does to us; harsh also kills and pauses, and takes the stream away."),
    ] = "default",
    stream_gaps: Annotated[
        int, typer.Option(min=0, max=100, help="With harsh: how often the private stream is gone for 30 s.")
    ] = 1,
    venue: Annotated[Literal["binance", "binance-usdm"], typer.Option(help="Which venue is simulated.")] = "binance",
    order_entry: Annotated[Literal["rest", "ws"], typer.Option(help="By which way orders are sent.")] = "rest",
    examples: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--examples", help="The strategies of examples/ trade along, killed once.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,  # noqa: FBT002 - a flag
) -> int:
    """Run the whole pipeline against a simulated Binance and audit it against the venue's own books.

    Starts a Valkey server, the venue, two gateways, the ledger, the listener, the resolver and three strategies as
    processes of their own; every signal is published by two processes. Exit code 1 when anything is missing,
    doubled or unknown, or a fault that was asked for did not happen.

    \b
    Examples:
      fillonce demo
      fillonce demo --intents 500 --seed 7
      fillonce demo --faults harsh --json
      fillonce demo --examples
      fillonce demo --faults harsh --stream-gaps 4
      fillonce demo --venue binance-usdm --order-entry ws
    """  # noqa: D301 - \b tells the help to keep the lines
    from consumers.demo.orchestrate import Options, run
    from consumers.demo.progress import Screen, report, to_json

    asked = Options(
        intents=intents, seed=seed, faults=faults, venue=venue, order_entry=order_entry, stream_gaps=stream_gaps,
        examples=examples,
    )  # fmt: skip
    if examples:
        from consumers.demo.examples import find

        find("grid")  # refused before anything starts, where they are not installed
    with Screen(quiet=as_json and not sys.stderr.isatty()) as screen:
        result = asyncio.run(run(asked, screen.show))
    if as_json:
        sys.stdout.write(to_json(result) + "\n")
    else:
        report(result)
    return 0 if result.good else 1
