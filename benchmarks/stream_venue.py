"""A private stream that says what it is told: Binance's subscription, then frames as fast as they are taken.

`python -m benchmarks.stream_venue COUNT` runs it as a process; every subscriber gets COUNT frames of fills.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from adapters.binance.dialogue import BinanceDialogue
from adapters.credentials import Credentials
from adapters.venue import Rows, StreamEvent
from adapters.websocket import listen
from benchmarks.child import say, until_ended
from benchmarks.orders import Named, fills
from streams.parent import end_with_parent


async def confirm(socket: ServerConnection) -> None:
    """Take a subscription and confirm it."""
    request = orjson.loads(await socket.recv())
    await socket.send(orjson.dumps({"id": request["id"], "status": 200, "result": {"subscriptionId": 0}}).decode())


class StreamVenue:
    """The side of a venue that a listener needs: the real private stream at an address, and nothing that was missed."""

    def __init__(self, url: str, now_ms: Callable[[], int]) -> None:
        """Bind it; the key is nobody's."""
        self.dialogue = BinanceDialogue(url, Credentials("none", "none"), now_ms)

    def stream(self) -> AsyncGenerator[StreamEvent, None]:
        """Follow the private stream."""
        return listen(self.dialogue)

    async def orders_since(self, symbol: str, since_ms: int) -> Rows:  # noqa: ARG002 - a venue is asked so
        """Nothing was missed."""
        return Rows("", ())

    trades_since = orders_since


async def _serve(count: int) -> None:
    frames: Sequence[str] = [one.decode() for one in fills([Named(f"fo-{n:033}", n) for n in range(count // 2)])]

    async def subscriber(socket: ServerConnection) -> None:
        await confirm(socket)
        for one in frames:
            await socket.send(one)
        await socket.wait_closed()

    async with serve(subscriber, "127.0.0.1", 0, compression=None) as server:
        say({"port": next(iter(server.sockets)).getsockname()[1], "frames": len(frames)})
        await until_ended()


def main(arguments: Sequence[str]) -> Any:
    """Serve until SIGTERM."""
    end_with_parent()
    return uvloop.run(_serve(int(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
