"""What must hold of a claim before anything of it is sent: on the server, on its disk, or on its replicas.

WAIT and WAITAOF count the writes of their own connection only, so the claim and the question go over one.
"""

from typing import Literal, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from streams.errors import UsageError

Level = Literal["memory", "disk", "replica"]
Asks = Literal["never", "once", "always"]
CONFIRM_MS = 500
# A server that has copied another one writes its first append-only file in the background; until that is whole, what it
# syncs belongs to no file that a restart would read (WAITAOF counts it as nothing, whatever appendfsync says).
COPYING = "the server is still writing its first append-only file, which a restart would not read yet"


class Durability:
    """One level, on the connection that claims.

    Attributes:
        confirm_ms: longest wait for a confirmation; it is a part of the send window.
        reason: what it means when `confirm` says no.
        silent: whether it said no for what passes by itself: no answer, or a disk that does not have everything yet.
    """

    def __init__(self, redis: Redis, level: Level, replicas_min: int) -> None:
        """Bind it; `open` finds out what the server needs."""
        self.confirm_ms = CONFIRM_MS
        self._redis, self._level, self._replicas_min = redis, level, replicas_min
        self._asks: Asks = "never"
        self._looked = self.silent = False
        self.reason = self._unconfirmed = (
            f"fewer than {replicas_min} replicas confirmed a claim within {CONFIRM_MS} ms"
            if level == "replica"
            else f"the server did not confirm a claim on its disk within {CONFIRM_MS} ms"
        )

    @classmethod
    async def open(cls, redis: Redis, level: Level, replicas_min: int) -> Self:
        """Check that the server can keep what the level promises.

        Raises:
            UsageError: it cannot, with what to change.
        """
        made = cls(redis, level, replicas_min)
        await made._look()
        return made

    def doubt(self) -> None:
        """Look again before the next claim is relied upon: another server, or the same with other settings, answers."""
        self._looked = False

    async def confirm(self) -> bool:
        """Say whether everything this connection wrote so far is kept as the level promises."""
        self.reason, self.silent = self._unconfirmed, False
        try:
            if not self._looked:
                await self._look()
            if self._level == "replica":
                return int(await self._redis.wait(self._replicas_min, self.confirm_ms)) >= self._replicas_min
            if self._asks != "never":
                return await self._synced()
        except UsageError as error:
            self.reason = str(error)
            return False
        except (RedisError, OSError):
            self.silent = True
            return False
        return True

    async def _synced(self) -> bool:
        """Ask for the disk. Of a server that syncs before it answers only the first answer can mean nothing."""
        local, _ = await self._redis.waitaof(1, 0, self.confirm_ms)
        if self._asks == "once":
            if int(local):
                self._asks = "never"
            else:
                self.reason, self.silent = COPYING, True
        return int(local) >= 1

    async def _look(self) -> None:
        if self._level == "disk":
            self._asks = await _asks_for_fsync(self._redis)
        self._looked = True


async def _asks_for_fsync(redis: Redis) -> Asks:
    """Which claims must be followed by WAITAOF to be on disk; the first alone where every reply comes after an fsync.

    Raises:
        UsageError: the server keeps no such promise, with what to change.
    """
    try:
        config = {_text(name): _text(value) for name, value in (await redis.config_get("append*")).items()}
    except ResponseError:
        raise UsageError(
            "Durability disk needs to see appendonly and appendfsync, and the server hides its configuration; "
            "allow CONFIG GET, or set durability memory or replica."
        ) from None
    if config.get("appendonly") != "yes":
        raise UsageError("Durability disk needs appendonly yes on the server; set it, or durability memory.")
    known = await _knows_waitaof(redis)
    if config.get("appendfsync") == "always":
        return "once" if known else "never"
    if config.get("appendfsync") == "no" or not known:
        raise UsageError(
            "Durability disk needs appendfsync always, or everysec on a server with WAITAOF "
            "(Redis 7.2, any Valkey); set it, or durability memory."
        )
    return "always"


async def _knows_waitaof(redis: Redis) -> bool:
    try:
        # Not COMMAND INFO: redis-py cannot read what it answers about a command that the server does not know.
        known = await redis.execute_command("COMMAND LIST", "FILTERBY", "PATTERN", "waitaof")  # type: ignore[no-untyped-call]  # redis-py leaves it open
    except RedisError:
        return False
    return bool(known)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
