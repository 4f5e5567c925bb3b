"""Metrics and health as they are asked for: over HTTP, while the role works, waits or hangs."""

import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from consumers.endpoint import Endpoint, Probe
from consumers.health import Health, Surroundings
from streams.errors import UsageError
from streams.histogram import Histogram
from streams.measures import Measures
from streams.settings import Settings, read, spread
from tests.scrape import ask, samples


async def open_gate() -> Surroundings:
    """An account that trades, with three entries to read."""
    return Surroundings(lag={"intents": 3}, pending={"intents": 2})


def probe(
    account: str = "sim.a", health: Health | None = None, look: Callable[[], Awaitable[Surroundings]] = open_gate
) -> Probe:
    """A role that says this of itself."""
    stands = health or Health(loop_age_ms=5)
    return Probe(
        account=account, role="gateway.0", health=lambda: stands, look=look, figures=lambda: {"claimed": 7, "shut": "x"}
    )


@asynccontextmanager
async def served(*probes: Probe, measures: Measures | None = None, metrics: str = "127.0.0.1:0", **settings: Any):
    """An endpoint, and how to ask it."""
    endpoint = Endpoint(probes, lambda: measures or Measures(), Settings(metrics=metrics, **settings))
    await endpoint.open()
    try:
        yield endpoint
    finally:
        await endpoint.close()


def modes(address: str) -> list[int]:
    """Permissions of a socket and of its directory; nothing when there is no socket."""
    path = Path(address.removeprefix("unix:"))
    return [one.stat().st_mode & 0o777 for one in (path, path.parent)] if path.exists() else []


def leave_behind(address: str) -> None:
    """Leave a file where the socket was, as a kill does."""
    Path(address.removeprefix("unix:")).touch()


async def test_a_scraper_reads_what_the_role_says_and_measured():
    """Figures, lag, times as a histogram, duplicates by source, caches: everything with account and role."""
    times = Histogram()
    for ms in (0.2, 3, 70_000):
        times.add(ms)
    measures = Measures(times={"claim_to_socket": times}, duplicates={"stream": 4}, conflicts={"claim": 1})
    async with served(probe(), measures=measures) as endpoint:
        status, text = await ask(endpoint.address, "/metrics")
    found, own = samples(text), ("sim.a", "gateway.0")
    assert status == 200
    assert found["fillonce_figure", *own, "claimed"] == 7
    assert ("fillonce_figure", *own, "shut") not in found
    assert (found["fillonce_lag_entries", *own, "intents"], found["fillonce_gate_open", *own]) == (3, 1)
    assert found["fillonce_pending_entries", *own, "intents"] == 2
    name = "fillonce_claim_to_socket_seconds"
    assert [found[f"{name}_bucket", *own, bound] for bound in ("0.0001", "0.00025", "0.005", "60.0", "+Inf")] == [
        0, 1, 2, 2, 3,
    ]  # fmt: skip
    assert found[f"{name}_sum", *own] == pytest.approx(70.0032)
    assert (found["fillonce_duplicates_total", *own, "stream"], found["fillonce_conflicts_total", *own, "claim"]) == (
        4, 1,
    )  # fmt: skip


async def test_a_server_that_is_away_is_said_and_hides_nothing_else():
    """Healthy, because a restart would not help; not ready; and its own figures are still to be had."""

    async def away() -> Surroundings:
        await Redis(unix_socket_path="/nowhere/at/all").ping()
        raise AssertionError

    async with served(probe(look=away)) as endpoint:
        healthy, ready = await ask(endpoint.address, "/healthz"), await ask(endpoint.address, "/readyz")
        _, text = await ask(endpoint.address, "/metrics")
    assert healthy[0] == 200
    assert (ready[0], json.loads(ready[1])) == (503, {"ok": False, "why": ["sim.a: Redis does not answer"]})
    found = samples(text)
    assert found["fillonce_server_up", "sim.a", "gateway.0"] == 0
    assert found["fillonce_figure", "sim.a", "gateway.0", "claimed"] == 7
    assert ("fillonce_gate_open", "sim.a", "gateway.0") not in found


async def test_a_role_whose_loop_stands_still_is_not_healthy():
    """With the bound of the settings."""
    async with served(probe(health=Health(loop_age_ms=500)), alive_within_ms=499) as endpoint:
        status, body = await ask(endpoint.address, "/healthz")
    assert (status, json.loads(body)["ok"]) == (503, False)


async def test_a_process_of_several_accounts_speaks_for_each():
    """One family a name, a sample an account; one account that is not ready makes the process unready."""

    async def shut() -> Surroundings:
        return Surroundings(shut="the gate is shut")

    async with served(probe(), probe("sim.b", look=shut)) as endpoint:
        _, text = await ask(endpoint.address, "/metrics")
        status, body = await ask(endpoint.address, "/readyz")
    found = samples(text)
    assert [found["fillonce_gate_open", one, "gateway.0"] for one in ("sim.a", "sim.b")] == [1, 0]
    assert (status, json.loads(body)["why"]) == (503, ["sim.b: the gate is shut"])
    assert text.count("# TYPE fillonce_gate_open ") == 1


async def test_a_unix_socket_in_the_data_directory_is_the_owners_alone(tmp_path: Path):
    """Reached by whoever may enter; gone after the stop, and one left by a kill is replaced."""
    for _ in range(2):
        async with served(probe(), metrics="unix", data_dir=str(tmp_path / "d")) as endpoint:
            assert await ask(endpoint.address, "/healthz") == (200, '{"ok":true,"why":[]}\n')
            assert endpoint.address.startswith(f"unix:{tmp_path / 'd' / 'run'}/")
            assert modes(endpoint.address) == [0o600, 0o700]
        assert modes(endpoint.address) == []
        leave_behind(endpoint.address)


async def test_an_address_that_is_taken_stops_nobody(caplog: pytest.LogCaptureFixture):
    """The role goes on; one sentence says why nobody answers there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        async with served(probe(), metrics=where) as endpoint:
            assert endpoint.address == ""
    assert f"metrics are not served at {where}" in caplog.text


async def test_nothing_is_served_unless_it_was_asked_for():
    """Off by default."""
    async with served(probe(), metrics=Settings().metrics) as endpoint:
        assert endpoint.address == ""


def test_processes_of_one_machine_get_a_port_each():
    """Counting up; a socket's name has the role in it, and port 0 is another one every time."""
    assert spread("127.0.0.1:9400", 3) == ["127.0.0.1:9400", "127.0.0.1:9401", "127.0.0.1:9402"]
    assert spread("[::1]:9400", 2) == ["[::1]:9400", "[::1]:9401"]
    assert (spread("unix", 2), spread("", 1), spread("localhost:0", 2)) == (["unix"] * 2, [""], ["localhost:0"] * 2)


@pytest.mark.parametrize("wrong", ["9400", "127.0.0.1", "http://127.0.0.1:9400", "unix:/tmp/x", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused_with_the_settings(wrong: str):
    """Before anything starts."""
    with pytest.raises(UsageError, match="metrics"):
        read("", {"FILLONCE_METRICS": wrong})
