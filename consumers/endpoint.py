"""`/metrics`, `/healthz` and `/readyz` of one process: FastStream's ASGI application, served by uvicorn.

Nothing is collected before somebody asks. An endpoint that cannot be served, or fails, never stops a role: trading
goes on, and whoever watches sees that nobody answers.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson
import uvicorn
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from consumers.exposition import Told, families, measured
from consumers.health import Bounds, Health, Surroundings, hindrances, ills
from consumers.listening import UNIX, listen, listen_unix, shown
from streams.errors import FillonceError
from streams.measures import Measures
from streams.settings import Settings

TEXT = "text/plain; version=0.0.4; charset=utf-8"
LOOK_S = 2.0

T = TypeVar("T")
NO_ANSWER = "Redis does not answer"

log = logging.getLogger("fillonce.endpoint")


class Probe(Struct, frozen=True, kw_only=True):
    """How one role of one account is asked.

    Attributes:
        account: its name.
        role: its name.
        health: of its loop; asks nobody.
        look: asks the server.
        figures: what it counted.
        state: asks the server about the whole account; None for a role that does not speak for it.
    """

    account: str
    role: str
    health: Callable[[], Health]
    look: Callable[[], Awaitable[Surroundings]]
    figures: Callable[[], Mapping[str, Any]]
    state: Callable[[], Awaitable[Mapping[str, Any]]] | None = None


class Endpoint:
    """Serves what probes say.

    Attributes:
        address: where, as a client would write it; empty while it is not served.
        registry: of further families, such as FastStream's middleware has.
    """

    def __init__(self, probes: Sequence[Probe], measures: Callable[[], Measures], settings: Settings) -> None:
        """Bind it; nothing is opened yet."""
        self.address, self.registry = "", CollectorRegistry()
        self._probes, self._measures, self._settings = probes, measures, settings
        self._bounds = Bounds(alive_within_ms=settings.alive_within_ms, ready_lag_max=settings.ready_lag_max)
        self._latest = _Latest()
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        ProcessCollector(registry=self.registry)
        self.registry.register(self._latest)

    async def open(self) -> None:
        """Serve, where the settings say so."""
        if not self._settings.metrics:
            return
        try:
            listening = _listen(self._settings, self._probes[0])
        except (OSError, ValueError) as error:
            log.error("metrics are not served at %s: %s", self._settings.metrics, error)  # noqa: TRY400 - one sentence
            return
        self.address = shown(listening)
        routes = [("/metrics", get(self.metrics)), ("/healthz", get(self.healthz)), ("/readyz", get(self.readyz))]
        config = uvicorn.Config(
            AsgiFastStream(asgi_routes=routes, logger=None), lifespan="off", log_config=None, access_log=False,
            ws="none", http="h11", timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        log.info("metrics and health at %s", self.address)

    async def close(self) -> None:
        """Stop serving."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await asyncio.wait([self._task])
        if self.address.startswith(f"{UNIX}:"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address.removeprefix(f"{UNIX}:"))  # noqa: PTH108 - a name, gone at once

    async def metrics(self, _scope: Any) -> AsgiResponse:
        """Everything that is counted, in Prometheus' text format."""
        found: list[Metric] = []
        for one in self._probes:
            around, state = await _asked(one.look), None
            if around is not None and one.state is not None:
                state = await _asked(one.state)
            found += families(
                Told(
                    account=one.account, role=one.role, health=one.health(), around=around, figures=one.figures(),
                    state=state,
                )
            )  # fmt: skip
        first = self._probes[0]
        account = first.account if len(self._probes) == 1 else ""
        self._latest.families = [*_merged(found), *measured(account, first.role, self._measures())]
        return AsgiResponse(generate_latest(self.registry), 200, {"Content-Type": TEXT})

    async def healthz(self, _scope: Any) -> AsgiResponse:
        """200 while the role's loop goes round, else 503 and why not."""
        return _verdict([one for probe in self._probes for one in ills(probe.health(), self._bounds)])

    async def readyz(self, _scope: Any) -> AsgiResponse:
        """200 while the role would do its work at once, else 503 and what hinders it."""
        against: list[str] = []
        for probe in self._probes:
            around = await _asked(probe.look)
            found = hindrances(probe.health(), around or Surroundings(shut=NO_ANSWER), self._bounds)
            against += [f"{probe.account}: {one}" for one in found]
        return _verdict(against)


class _Latest(Collector):
    """What the last question found, for the registry."""

    def __init__(self) -> None:
        self.families: Sequence[Metric] = ()

    def collect(self) -> Sequence[Metric]:
        return self.families


class _Server(uvicorn.Server):
    """Leaves signals to the application whose process this is."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _merged(found: Sequence[Metric]) -> Sequence[Metric]:
    """One family a name, as the text format wants it, however many accounts have samples in it."""
    by_name: dict[str, Metric] = {}
    for one in found:
        by_name.setdefault(one.name, one)
        if by_name[one.name] is not one:
            by_name[one.name].samples.extend(one.samples)
    return list(by_name.values())


async def _asked(question: Callable[[], Awaitable[T]]) -> T | None:
    """Ask the server; None when it gives no answer."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await question()
    except (FillonceError, RedisError, OSError, TimeoutError):
        return None


def _verdict(against: Sequence[str]) -> AsgiResponse:
    body = orjson.dumps({"ok": not against, "why": list(against)}) + b"\n"
    return AsgiResponse(body, 503 if against else 200, {"Content-Type": "application/json"})


def _listen(settings: Settings, first: Probe) -> socket.socket:
    if settings.metrics != UNIX:
        return listen(settings.metrics)
    return listen_unix(Path(settings.data_dir).expanduser().resolve() / "run", f"{first.account}.{first.role}")
