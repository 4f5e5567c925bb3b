"""The command line `fillonce`: the commands, the options they share, and nothing else."""

import sys
from typing import Annotated

import typer

from consumers.commands.bench import bench
from consumers.commands.check import check
from consumers.commands.correct import adjust, correct
from consumers.commands.docs import docs
from consumers.commands.halt import cancel_all, halt, resume
from consumers.commands.ingest import ingest
from consumers.commands.new import new
from consumers.commands.orders import orders
from consumers.commands.output import INTERRUPTED, guarded
from consumers.commands.positions import positions
from consumers.commands.publish import publish
from consumers.commands.reconcile import reconcile
from consumers.commands.replay import replay
from consumers.commands.run import run
from consumers.commands.status import status
from consumers.commands.trace import trace
from consumers.commands.venues import venues
from consumers.commands.verify import verify
from consumers.demo.command import demo

app = typer.Typer(
    name="fillonce",
    help="An idempotent crypto order pipeline on Redis Streams: every order sent once, every fill counted once.",
    epilog="Exit codes: 0 done, 1 found something wrong, 2 bad usage or settings.",
    no_args_is_help=True,
    # Plain help starts fast, and a trace with local values could show a secret.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if asked:
        from importlib.metadata import version

        typer.echo(f"fillonce {version('fillonce')}")
        raise typer.Exit


@app.callback()
def _globals(
    ctx: typer.Context,
    *,
    settings: Annotated[
        str,
        typer.Option(metavar="FILE", help="Settings file; default FILLONCE_SETTINGS, else ./fillonce.toml."),
    ] = "",
    version: Annotated[  # noqa: ARG001 - its callback has answered by then
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    ctx.obj = settings


for _command in (
    demo, run, new, publish, orders, positions, status, check, halt, cancel_all, resume, reconcile, adjust, correct,
    ingest, verify, trace, replay, bench, venues, docs,
):  # fmt: skip
    app.command(_command.__name__.replace("_", "-"))(guarded(_command))


def main() -> int:
    """Run the command line; the exit code is 0, 1, 2, or 130 after Ctrl-C."""
    try:
        app(prog_name="fillonce")
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
