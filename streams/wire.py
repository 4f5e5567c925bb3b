"""One command on a client's own connection, its reply as it came: the hot path's way past redis-py's layers.

What redis-py's own call adds (a task for the write, retries, metrics, a parser for each command's reply) costs more
than the server does. Connections, handshake, reconnects and errors stay redis-py's.
"""

import asyncio
import math
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

Argument = bytes | str | int


class _Packing(AbstractConnection):
    """Packs commands in C, which redis-py's asyncio connections do in Python, and knows what uvloop raises."""

    def pack_command(self, *args: Any) -> list[bytes]:
        first = args[0]
        if isinstance(first, str) and " " in first:  # redis-py writes `CONFIG GET` as one
            args = (*first.split(), *args[1:])
        try:
            return [hiredis.pack_command(args)]
        except TypeError:  # what only redis-py's own encoder takes, or refuses in its own words
            return super().pack_command(*args)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's own
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            # What uvloop says of a connection that was closed between two steps; redis-py knows asyncio's word only.
            raise RedisConnectionError(f"The connection is closed: {error}.") from error


class _Unix(_Packing, UnixDomainSocketConnection):
    pass


class _Tcp(_Packing, Connection):
    pass


class _Tls(_Packing, SSLConnection):
    pass


_KINDS: dict[type[AbstractConnection], type[AbstractConnection]] = {
    UnixDomainSocketConnection: _Unix,
    Connection: _Tcp,
    SSLConnection: _Tls,
}


def quicken(redis: Redis) -> None:
    """Let a client that has not connected yet pack its commands in C."""
    pool = redis.connection_pool
    pool.connection_class = _KINDS.get(pool.connection_class, pool.connection_class)


async def command(redis: Redis, name: str, *args: Argument) -> Any:
    """Send one command, and its reply without any interpretation.

    A client with a pool, or one that is not connected yet, goes redis-py's way for this call.

    Raises:
        redis.exceptions.RedisError: as redis-py; after a time out the connection is closed.
    """
    connection = redis.connection
    if connection is None or not connection.is_connected:
        return await redis.execute_command(name.encode(), *args)  # type: ignore[no-untyped-call]  # as bytes it has no parser of replies
    async with redis._single_conn_lock:  # noqa: SLF001 - the lock of the client's own commands
        timeout_s, connection.socket_timeout = connection.socket_timeout, None
        try:
            async with asyncio.timeout(timeout_s):
                await connection.send_command(name, *args, check_health=False)
                return await connection.read_response(timeout=math.inf)
        except TimeoutError:
            await connection.disconnect(nowait=True)
            raise RedisTimeoutError("Timeout waiting for the answer") from None
        finally:
            connection.socket_timeout = timeout_s
