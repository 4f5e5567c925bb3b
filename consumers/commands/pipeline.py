"""The life of a whole pipeline: server first, then roles; one line per change; drained and stopped in order."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from consumers import logs
from consumers.commands import output
from consumers.commands.connecting import NAME, ping
from consumers.commands.figures import SUPERVISOR
from consumers.keyring import credentials
from consumers.preflight import failed, server
from consumers.supervise import Child, Supervisor
from streams.clock import SystemClock
from streams.connection import connect, shown
from streams.errors import ServerError, StoreError
from streams.keys import AccountKeys
from streams.scripts import Scripts
from streams.server import EmbeddedServer
from streams.settings import Settings

BEAT_MS: Final = 500
PAUSE_MIN_MS, PAUSE_MAX_MS = 200, 10_000
CANCEL_EVERY_S: Final = 0.2

log = logging.getLogger("fillonce.run")


async def run_pipeline(settings: Settings, env: Mapping[str, str], *, as_json: bool) -> int:
    """Run everything until a signal.

    Returns:
        Exit code: 0 after SIGTERM, 130 after Ctrl-C, 1 when the server forbids a start.

    Raises:
        ServerError: the embedded server cannot be started, or another pipeline runs on the data directory.
        StoreUnreachable: the server of the settings does not answer.
    """
    _set_up_logs(settings, env, as_json=as_json)
    pipeline, stopped = Pipeline(settings, env), asyncio.Event()
    asked: list[int] = []

    def stop(number: int) -> None:
        if asked:
            log.info("already stopping")
        asked.append(number)
        stopped.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        if not await _until(stopped, pipeline.start()):
            return output.WRONG
        if not stopped.is_set():
            await _until(stopped, *pipeline.works())
        log.info("stopping: strategies and gateways first, then listeners and resolvers, ledgers last")
    finally:
        await pipeline.stop()
    log.info("stopped")
    if as_json:
        output.document(
            {"restarts": pipeline.restarts(), "server_restarts": pipeline.server_restarts, "signal": asked[0]}
        )
    return output.INTERRUPTED if asked[:1] == [signal.SIGINT] else output.DONE


class Pipeline:
    """Server and roles of one deployment.

    Attributes:
        server_restarts: how often the embedded server came back after it ended unasked.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        """Bind it; nothing is started yet."""
        self.server_restarts = 0
        self._settings, self._env, self._clock = settings, env, SystemClock()
        self._server = None if settings.redis_url else EmbeddedServer(Path(settings.data_dir))
        self._url = settings.redis_url or (self._server.url if self._server else "")
        self._supervisor = Supervisor(settings, self._url, env, self._clock)
        self._redis: Redis | None = None
        self._started_ms = time.time_ns() // 1_000_000
        self._seen: dict[str, object] = {}  # subject -> what was said of it last

    async def start(self) -> bool:
        """Start the server, look at it, start the roles; False when the server is not fit for it."""
        if self._server is not None:
            await self._server.start()
            log.info("the embedded server is up on %s (pid %d)", self._settings.data_dir, self._server.pid)
        else:
            log.info("uses the server at %s", shown(self._url))
        self._redis = connect(self._url, name=NAME, timeout_ms=self._settings.redis_timeout_ms)
        await ping(self._redis, self._settings)
        wrong = failed(await server(self._redis, self._settings.accounts, self._settings.clock_skew_max_ms))
        for one in wrong:
            output.say(one.sentence)
        if wrong:
            return False
        await self._supervisor.start()
        for child in self._supervisor.children:
            self._note(_subject(child), "pid", child.pid, f"started (pid {child.pid})")
        return True

    def works(self) -> list[Coroutine[Any, Any, bool]]:
        """What goes on until the stop: keeping the server alive, beating, saying what changes."""
        return [self._beat(), *([] if self._server is None else [self._keep_server(self._server)])]

    async def stop(self) -> None:
        """Drain and stop the roles, then the server."""
        await self._supervisor.stop()
        if self._redis is not None:
            await self._forget_beats(self._redis)
            await self._redis.aclose()
        if self._server is not None:
            await self._server.stop()

    def restarts(self) -> dict[str, int]:
        """Restarts by account and role."""
        return {_subject(one): one.restarts for one in self._supervisor.children}

    async def _keep_server(self, embedded: EmbeddedServer) -> bool:
        pause_ms = PAUSE_MIN_MS
        while True:
            code = await embedded.wait()
            while True:
                log.warning("the embedded server ended (%d); it is started again in %d ms", code, pause_ms)
                await self._clock.sleep_ms(pause_ms)
                pause_ms = min(pause_ms * 2, PAUSE_MAX_MS)
                try:
                    await embedded.start()
                except ServerError as error:
                    log.warning("%s", error)
                else:
                    break
            self.server_restarts += 1
            pause_ms = PAUSE_MIN_MS
            log.info(
                "the embedded server is up again (pid %d); accounts are reconciled before they trade", embedded.pid
            )

    async def _beat(self) -> bool:
        assert self._redis is not None
        while True:
            for account in self._settings.accounts:
                try:
                    await self._beat_once(self._redis, AccountKeys(account))
                except (RedisError, OSError, StoreError) as error:
                    log.debug("no beat: %s", type(error).__name__)
            self._say_children()
            await self._clock.sleep_ms(BEAT_MS)

    async def _beat_once(self, redis: Redis, keys: AccountKeys) -> None:
        mine = [one for one in self._supervisor.children if one.task.account in ("", keys.account)]
        seconds, micros = await redis.time()
        beat = {
            "pid": os.getpid(),
            "started_ms": self._started_ms,
            "at_ms": int(seconds) * 1000 + int(micros) // 1000,
            "restarts": {one.task.name: one.restarts for one in mine},
            "server_restarts": self.server_restarts,
        }
        await redis.hset(keys.roles, SUPERVISOR, orjson.dumps(beat).decode())
        beats: Any = await redis.hgetall(keys.roles)
        for one in mine:
            told = beats.get(one.task.name.encode())
            if told and one.pid and msgspec.json.decode(told, type=dict[str, Any]).get("pid") == one.pid:
                self._note(f"{keys.account} {one.task.name}", "up", one.pid, "works")
        gate = await Scripts(redis, keys).gate()
        # By its opening: after a restart it may be open again before anybody has seen it shut.
        said = "the gate is open" if gate.is_open else "the gate is shut"
        self._note(keys.account, "gate", gate.opening if gate.is_open else "", said)

    def _say_children(self) -> None:
        for one in self._supervisor.children:
            if one.pid:
                said = f"started (pid {one.pid}, restart {one.restarts})"
                self._note(_subject(one), "pid", one.pid, said)

    def _note(self, subject: str, what: str, value: object, sentence: str) -> None:
        """Log a change; nothing when it is as it was said last."""
        if self._seen.get(f"{subject} {what}") != value:
            self._seen[f"{subject} {what}"] = value
            log.info("%s: %s", subject, sentence)

    async def _forget_beats(self, redis: Redis) -> None:
        """Take back the beats of what stopped, so that `status` does not call it stale."""
        for account in self._settings.accounts:
            names = [one.task.name for one in self._supervisor.children if one.task.account in ("", account)]
            try:
                await redis.hdel(AccountKeys(account).roles, SUPERVISOR, *names)
            except (RedisError, OSError):
                log.debug("beats stay")


def _subject(child: Child) -> str:
    """Name a process in what is said of it; a strategy is of no one account."""
    return f"{child.task.account} {child.task.name}".strip()


async def _until(stopped: asyncio.Event, *works: Coroutine[Any, Any, bool]) -> bool:
    """Run `works` until one ends or a stop is asked for; False when one of them said so.

    Raises:
        Exception: what one of them ended with.
    """
    working = [asyncio.ensure_future(one) for one in works]
    waiting = asyncio.ensure_future(stopped.wait())
    await asyncio.wait([*working, waiting], return_when=asyncio.FIRST_COMPLETED)
    for one in (*working, waiting):
        await _end(one)
    return all(one.result() for one in working if not one.cancelled())


async def _end(task: "asyncio.Future[bool]") -> None:
    """Cancel a task until it ends: a Redis client that is just connecting may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_EVERY_S)


def _set_up_logs(settings: Settings, env: Mapping[str, str], *, as_json: bool) -> None:
    logs.set_up(SUPERVISOR, settings.log_level, _secrets(settings, env))
    if as_json:
        return
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[lines], force=True)
    log.setLevel(logging.INFO)  # a person sees every change, whatever level the roles log at


def _secrets(settings: Settings, env: Mapping[str, str]) -> Iterable[str]:
    for name, account in settings.accounts.items():
        held = credentials(name, account, env)
        yield from (held.api_key, held.secret)
