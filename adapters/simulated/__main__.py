"""Start a simulated venue: `python -m adapters.simulated --port 0 --seed 1 --faults default`.

Settings with API secrets and the control token are read as one JSON document from the environment variable named by
`--keys-from-env`, or from standard input when it is not set; never from arguments, which every user of a machine sees.
When it listens it prints one line, `{"port": ...}`. It stops on SIGTERM and does not outlive its parent.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from adapters.simulated import settings
from adapters.simulated.faults import DEFAULT, OFF, Faults
from adapters.simulated.server import LOOPBACK, Server
from adapters.simulated.venue import Venue
from streams.parent import end_with_parent

_PARENT_LOOK_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a venue until it is told to stop. Returns 0, or 2 when its arguments or settings are wrong."""
    parent = os.getppid()
    options = _options(arguments)
    end_with_parent()
    try:
        chosen = settings.decode(_document(options.keys_from_env))
        faults = _faults(options.faults)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201  a program's own error output
        return 2
    uvloop.run(_serve(Venue(chosen, options.seed, faults), options.host, options.port, parent))
    return 0


async def _serve(venue: Venue, host: str, port: int, parent: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(venue)
    try:
        listening = await server.start(port, host)
        sys.stdout.write(f'{{"port": {listening}}}\n')
        sys.stdout.flush()
        # The parent may have died before the kernel was asked to tell us, and not every kernel can be asked.
        while not stop.is_set() and os.getppid() == parent:
            try:
                await asyncio.wait_for(stop.wait(), _PARENT_LOOK_S)
            except TimeoutError:
                continue
    finally:
        await server.close()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adapters.simulated", description="A simulated Binance spot venue.")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on; a container's is 0.0.0.0")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same decisions")
    parser.add_argument("--faults", default="off", help="default, off, or a JSON file of rates")
    parser.add_argument(
        "--keys-from-env",
        default=settings.SETTINGS_VARIABLE,
        metavar="NAME",
        help="environment variable with the settings; when it is not set they are read from standard input",
    )
    return parser.parse_args(arguments)


def _document(variable: str) -> bytes:
    text = os.environ.pop(variable, None)
    return sys.stdin.buffer.read() if text is None else text.encode()


def _faults(name: str) -> Faults:
    if name == "default":
        return DEFAULT
    if name == "off":
        return OFF
    try:
        return msgspec.json.decode(Path(name).read_bytes(), type=Faults)
    except msgspec.MsgspecError as error:
        raise ValueError(f"correct the fault rates in {name}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
