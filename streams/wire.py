"""One command on a client's own connection, its reply as it came: the hot path's way past redis-py's layers.

What redis-py's own call adds (a task for the write, retries, metrics, a parser for each command's reply) costs more
than the server does. Connections, handshake, reconnects and errors stay redis-py's.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import hiredis
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

Argument = bytes | str | int
_READ_BYTES = 65_536
# Commands that wait at the server behind the one it works on: with one it would wait whenever a reply takes longer to
# read than a command to do, and what it takes at once costs one sync of its disk; with many a refusal is heard late.
AHEAD = 4
# A process that sleeps until its answer comes is woken 30 µs and more after it came, longer than most scripts take. A
# caller who waits for one brief answer may look for it instead, that long; what is not there by then is slept for.
SPIN_NS = 100_000
# Looking that found nothing is tried less and less: the answers of this connection are not that brief.
_PASSES_MAX = 64
# Other tasks get their turn of the loop all the same.
_TURN_NS = 1_000_000
_BRIEF_BYTES = 4_096


class Wire(AbstractConnection):
    """Packs commands in C, which redis-py's asyncio connections do in Python, and knows what uvloop raises."""

    _alarm: asyncio.TimerHandle | None = None
    _due_s: float | None = None  # by the loop's clock, of the turn that is under way
    _is_late = False
    _looks = True  # what comes is the reply itself, and not a cipher of it
    _passes = _passing = 0  # how many are not looked for after one that was not found, and how many of those are left
    _turned_ns = 0

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack one command; what hiredis does not take goes redis-py's way."""
        first = args[0]
        if isinstance(first, str) and " " in first:  # redis-py writes `CONFIG GET` as one
            args = (*first.split(), *args[1:])
        try:
            return [hiredis.pack_command(args)]
        except TypeError:  # what only redis-py's own encoder takes, or refuses in its own words
            return super().pack_command(*args)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's own
        """Send what is packed.

        Raises:
            redis.exceptions.ConnectionError: it failed.
        """
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            # What uvloop says of a connection that was closed between two steps; redis-py knows asyncio's word only.
            raise RedisConnectionError(f"The connection is closed: {error}.") from error

    async def exchange(self, *args: Argument, spin_ns: int = 0) -> Any:
        """Send one command and read its reply, as the one user of the connection.

        Args:
            args: the command.
            spin_ns: for how long the reply is looked for before the process sleeps until it comes; it is for callers
                who wait for nothing else, and costs them that much of a processor.

        Raises:
            redis.exceptions.RedisError: the server's refusal, or the connection failed or was too slow; then it is
                closed, because the reply could still come.
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if spin_ns and (now := time.monotonic_ns()) - self._turned_ns > _TURN_NS:
            self._turned_ns = now
            await asyncio.sleep(0)
        reply = await self._turn(hiredis.pack_command(args), spin_ns=spin_ns)  # type: ignore[arg-type]  # its stub forbids more than one
        if isinstance(reply, RedisError):
            raise reply
        return reply

    async def exchange_all(self, commands: Iterable[Sequence[Argument]], tell: Callable[[Any], None]) -> None:
        """Send commands one behind another, so that the server has the next one when it is done with one.

        Args:
            commands: each is made when it is due, while the server works on those before.
            tell: takes each reply in its turn, a refusal as the exception that it is.

        Raises:
            redis.exceptions.RedisError: the connection failed or was too slow, and is closed; the server may have
                done what no reply was told of.
        """
        waiting = 0
        try:
            for command in commands:
                await self._turn(hiredis.pack_command(tuple(command)), reads=False)  # type: ignore[arg-type]  # as above
                waiting += 1
                if waiting > AHEAD:
                    reply = await self._turn()
                    waiting -= 1
                    tell(reply)
            while waiting:
                reply = await self._turn()
                waiting -= 1
                tell(reply)
        finally:
            if waiting:
                await self.disconnect(nowait=True)

    async def _turn(self, packed: bytes = b"", *, reads: bool = True, spin_ns: int = 0) -> Any:
        """Write what is packed, and read a reply; a refusal is returned."""
        self._is_late = False
        try:
            if spin_ns and self._may_look():
                packed, reply = self._look(packed, time.perf_counter_ns() + spin_ns)
                if reply is not NOT_ENOUGH_DATA:
                    return reply
            if self.socket_timeout:
                self._set_alarm(self.socket_timeout)
            if packed:
                writer: Any = self._writer
                writer.write(packed)
            if reads:
                return await self._reply()
            await asyncio.sleep(0)  # a loop may write at its next step only
        except (OSError, RuntimeError, RedisConnectionError) as error:
            await self.disconnect(nowait=True)
            if self._is_late:
                raise RedisTimeoutError("Timeout waiting for the answer") from None
            raise RedisConnectionError(f"The connection is closed: {error}.") from error
        except BaseException:
            await self.disconnect(nowait=True)
            raise
        finally:
            self._due_s = None

    async def disconnect(self, nowait: bool = False, *args: Any, **options: Any) -> None:  # noqa: FBT001, FBT002 - redis-py's own
        """Close it, and forget its timer: the next connection may belong to another loop."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        await super().disconnect(nowait, *args, **options)

    def _set_alarm(self, limit_s: float) -> None:
        """Give one turn its time. The timer stays from turn to turn: to move a time costs less than to make a timer."""
        loop = asyncio.get_running_loop()
        self._due_s = loop.time() + limit_s
        if self._alarm is None:
            self._alarm = loop.call_at(self._due_s, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut a connection whose answer does not come; a timer and a flag cost less than asyncio's own time limit."""
        self._alarm = None
        if self._due_s is None or self._writer is None:
            return
        if loop.time() < self._due_s:
            self._alarm = loop.call_at(self._due_s, self._ring, loop)
            return
        self._is_late = True
        self._writer.transport.abort()

    def _may_look(self) -> bool:
        """Whether nothing is on its way in either direction that the loop would know of and a look would not."""
        if self._passing:
            self._passing -= 1
            return False
        stream: Any = self._reader
        writer: Any = self._writer
        transport = writer.transport
        # Of a transport that is closing the number of its socket may be another file's by now.
        return (
            self._looks and not transport.is_closing() and not transport.get_write_buffer_size() and not stream._buffer  # noqa: SLF001 - nothing else says it
        )

    def _look(self, packed: bytes, until_ns: int) -> tuple[bytes, Any]:
        """Write and look for the reply past the loop; what is left to write, and the reply if it came in time."""
        writer: Any = self._writer
        parser: Any = self._parser._reader  # type: ignore[attr-defined]  # noqa: SLF001 - as in `_reply`
        socket = writer.get_extra_info("socket").fileno()
        try:
            packed = packed[os.write(socket, packed) :]
        except BlockingIOError:
            return packed, NOT_ENOUGH_DATA
        while not packed and time.perf_counter_ns() < until_ns:
            try:
                data = os.read(socket, _BRIEF_BYTES)
            except BlockingIOError:
                continue
            if not data:
                raise RedisConnectionError("the server closed it")
            parser.feed(data)
            reply = self._told(parser)
            if reply is not NOT_ENOUGH_DATA:
                self._passes = 0
                return packed, reply
        self._passes = self._passing = min(2 * self._passes + 1, _PASSES_MAX)
        return packed, NOT_ENOUGH_DATA

    @staticmethod
    def _told(parser: Any) -> Any:
        """The next reply of what was read."""
        while True:
            reply = parser.gets()
            if isinstance(reply, RedisConnectionError):  # loading, or no more clients: redis-py closes then
                raise reply
            if not isinstance(reply, hiredis.PushNotification):
                return reply

    async def _reply(self) -> Any:
        stream: Any = self._reader
        parser: Any = self._parser._reader  # type: ignore[attr-defined]  # noqa: SLF001 - hiredis, as redis-py set it up
        while (reply := self._told(parser)) is NOT_ENOUGH_DATA:
            data = await stream.read(_READ_BYTES)
            if not data:
                raise RedisConnectionError("the server closed it")
            parser.feed(data)
        return reply


class _Unix(Wire, UnixDomainSocketConnection):
    pass


class _Tcp(Wire, Connection):
    pass


class _Tls(Wire, SSLConnection):
    _looks = False


_KINDS: dict[type[AbstractConnection], type[AbstractConnection]] = {
    UnixDomainSocketConnection: _Unix,
    Connection: _Tcp,
    SSLConnection: _Tls,
}


def quicken(redis: Redis) -> None:
    """Let a client that has not connected yet pack its commands in C."""
    pool = redis.connection_pool
    pool.connection_class = _KINDS.get(pool.connection_class, pool.connection_class)


def answers_within(redis: Redis, limit_ms: int) -> bool:
    """Say whether a client gives up waiting for one answer by itself within that time."""
    timeout_s: float | None = redis.connection_pool.connection_kwargs.get("socket_timeout")
    return bool(redis.single_connection_client) and timeout_s is not None and timeout_s * 1000 <= limit_ms


async def command(redis: Redis, name: str, *args: Argument, spin_ns: int = 0) -> Any:
    """Send one command, and its reply without any interpretation.

    A client with a pool, or one that is not connected yet, goes redis-py's way for this call; `spin_ns` as of
    `Wire.exchange`.

    Raises:
        redis.exceptions.RedisError: as redis-py; after a timeout the connection is closed.
    """
    connection: Any = redis.connection
    if not isinstance(connection, Wire) or not connection.is_connected:
        return await redis.execute_command(name.encode(), *args)  # type: ignore[no-untyped-call]  # as bytes it has no parser of replies
    async with redis._single_conn_lock:  # noqa: SLF001 - the lock of the client's own commands
        return await connection.exchange(name, *args, spin_ns=spin_ns)


async def commands(redis: Redis, rows: Iterable[Sequence[Argument]], tell: Callable[[Any], None]) -> None:
    """Send commands one behind another (`Wire.exchange_all`).

    A client with a pool, or one that is not connected yet, sends none of them and takes none from `rows`.
    """
    connection: Any = redis.connection
    if isinstance(connection, Wire) and connection.is_connected:
        async with redis._single_conn_lock:  # noqa: SLF001 - the lock of the client's own commands
            if connection.is_connected:  # still, when it is its turn
                await connection.exchange_all(rows, tell)


def stream_rows(reply: Any) -> list[Any]:
    """Rows of each stream of an XREAD's reply, oldest first; RESP3 answers with a map and nests them once more."""
    pages = list(reply.values()) if isinstance(reply, dict) else [page for _, page in reply or ()]
    return [[row for page in rows for row in page] if rows and isinstance(rows[0], list) else rows for rows in pages]
