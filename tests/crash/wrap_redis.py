"""Wraps the lowest level of redis-py's connection: every command that leaves passes a point, named or not.

Names come from one level above (`send_command`, `pack_commands`); a command that comes by any other way is called
`unnamed`, which fails the recording.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from streams.script_loader import NAMES, load
from streams.wire import Wire
from tests.crash.points import UNNAMED, Target
from tests.crash.striker import Striker, here

_SETUP = frozenset({"HELLO", "CLIENT SETNAME", "CLIENT SETINFO", "SELECT"})


class _Sent:
    """One command or pipeline whose replies are awaited."""

    __slots__ = ("left", "target")

    def __init__(self, left: int, target: Target | None) -> None:
        self.left, self.target = left, target


def install(striker: Striker) -> None:
    """Put points around every command of this process."""
    send_command, pack_commands = AbstractConnection.send_command, AbstractConnection.pack_commands
    around = _Around(striker)

    async def named(self: Any, *args: Any, **options: Any) -> None:
        around.name(self, [args])
        await send_command(self, *args, **options)

    def packed(self: Any, commands: Iterable[Any]) -> list[bytes]:
        listed = list(commands)
        around.name(self, listed)
        return pack_commands(self, listed)

    async def sent(self: Any, command: Any, check_health: bool = True) -> None:
        await around.send(self, command, check_health)

    async def replied(self: Any, *args: Any, **options: Any) -> Any:
        return await around.read(self, *args, **options)

    async def stepped(self: Any, *args: Any, **_: Any) -> Any:
        """Send and read as two steps of redis-py, so that there is a place between them."""
        await self.send_command(*args, check_health=False)
        return await self.read_response()

    async def stepped_all(self: Any, commands: Iterable[Any], tell: Callable[[Any], None]) -> None:
        """One after the other, so that each has its points."""
        for args in commands:
            try:
                tell(await stepped(self, *args))
            except ResponseError as error:
                tell(error)

    async def disconnected(self: Any, *args: Any, **options: Any) -> None:
        await around.disconnect(self, *args, **options)

    AbstractConnection.send_command = named  # type: ignore[method-assign]  # what this file is for
    AbstractConnection.pack_commands = packed  # type: ignore[method-assign]  # the same
    AbstractConnection.send_packed_command = sent  # type: ignore[method-assign]  # the same
    AbstractConnection.read_response = replied  # type: ignore[method-assign]  # the same
    Wire.exchange = stepped  # type: ignore[method-assign]  # the same
    Wire.exchange_all = stepped_all  # type: ignore[method-assign]  # the same
    AbstractConnection.disconnect = disconnected  # type: ignore[method-assign]  # the same


class _Around:
    """What happens before and after redis-py's own steps."""

    def __init__(self, striker: Striker) -> None:
        self._striker = striker
        self._shas = {load(name).sha: name for name in NAMES}
        self._send, self._read = AbstractConnection.send_packed_command, AbstractConnection.read_response
        self._disconnect = AbstractConnection.disconnect

    def name(self, connection: Any, commands: Sequence[Any]) -> None:
        connection.crash_call = ([_name(args, self._shas) for args in commands], here())

    async def send(self, connection: Any, command: Any, check_health: Any) -> None:
        names, site = connection.__dict__.pop("crash_call", ([UNNAMED], here()))
        if not connection.is_connected:
            self._closed(connection)
            await connection.connect_check_health(check_health=False)
        if names[0] in _SETUP:
            # The same connection of another account is the same point.
            site = str(connection.client_name).partition("-")[2].partition("-binance.")[0]
            names, site = ["connect"], site or "library"
        chunks = _chunks(command)
        target = self._striker.passing(_call(names), site, self._numbered(connection), sum(map(len, chunks)))
        self._striker.strike(target, "before")
        _queue(connection).append(_Sent(len(names), target))
        await self._send(connection, chunks, check_health)
        if target is not None and target.phase == "lost" and target.strike == "role":
            await flushed(connection._writer.transport)
            self._striker.strike(target, "lost")

    async def read(self, connection: Any, *args: Any, **options: Any) -> Any:
        queue = _queue(connection)
        waiting = queue[0] if queue else None
        if waiting is None:
            return await self._read(connection, *args, **options)
        if waiting.target is not None and waiting.target.phase == "lost":
            await _swallow(connection, waiting.left, lambda: self._read(connection, *args, **options))
            self._striker.strike(waiting.target, "lost")
            await connection.disconnect(nowait=True)
            raise RedisConnectionError("the answer was lost on its way")
        try:
            return await self._read(connection, *args, **options)
        finally:
            waiting.left -= 1
            if waiting.left == 0:
                if queue and queue[0] is waiting:
                    queue.popleft()
                self._striker.strike(waiting.target, "after")

    async def disconnect(self, connection: Any, *args: Any, **options: Any) -> None:
        self._closed(connection)
        await self._disconnect(connection, *args, **options)

    def _closed(self, connection: Any) -> None:
        _queue(connection).clear()
        if connection.__dict__.get("crash_number") is not None:
            self._striker.write("closed", "", self._numbered(connection))
            del connection.crash_number

    def _numbered(self, connection: Any) -> str:
        number = connection.__dict__.get("crash_number")
        if number is None:
            number = connection.crash_number = self._striker.connection()
        return f"{connection.client_name}#{number}"


async def _swallow(connection: Any, replies: int, read: Callable[[], Any]) -> None:
    """Wait until the server has done it, and throw its replies away."""
    for _ in range(replies):
        try:
            await read()
        except ResponseError:
            continue
        if not connection.is_connected:
            return


async def flushed(transport: Any) -> None:
    """Wait until the kernel has every byte that was written."""
    while transport is not None and transport.get_write_buffer_size():  # noqa: ASYNC110 - nobody tells when it is empty
        await asyncio.sleep(0)


def _queue(connection: Any) -> deque[_Sent]:
    queue: deque[_Sent] = connection.__dict__.setdefault("crash_queue", deque())
    return queue


def _chunks(command: Any) -> list[bytes]:
    if isinstance(command, str):
        return [command.encode()]
    return [command] if isinstance(command, bytes) else list(command)


def _call(names: list[str]) -> str:
    """Name a pipeline by its kinds of command: how many rows it has is not where it stands."""
    return "+".join(dict.fromkeys(names))


def _name(args: tuple[Any, ...], shas: dict[str, str]) -> str:
    first = _text(args[0]).upper()
    if first == "EVALSHA":
        return shas.get(_text(args[1]), UNNAMED)
    if first in ("CLIENT", "SCRIPT") and len(args) > 1:
        return f"{first} {_text(args[1]).upper()}"
    return first


def _text(word: Any) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
