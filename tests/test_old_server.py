"""Servers that are not the embedded one: those that are refused at start, and the oldest one that is not.

The oldest server is Debian's redis-server 7.0, unpacked from its package without root. `FILLONCE_OLD_SERVER_BIN` names
one that is there already; where neither can be had, those tests are skipped with a sentence.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from adapters.binance.decode import decode
from consumers import preflight
from consumers.durability import Durability
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from streams import codec
from streams.clock import SystemClock
from streams.connection import connect
from streams.errors import ServerError, UsageError
from streams.keys import GATEWAYS, AccountKeys
from streams.reader import Reader
from streams.schemas import Accepted, Command, Evidence
from streams.server import EmbeddedServer, server_version
from streams.verify import verify
from tests.failover import LOOPBACK, replicated
from tests.flow import Bench, execution, place
from tests.sessions import CONTRACT, pytest_on

pytestmark = pytest.mark.slow

PACKAGES: Final = ("redis-tools", "libjemalloc2", "liblzf1")
DOWNLOAD_S: Final = 30
RUN_S: Final = 50


async def refusals(url: str, *accounts: str, skew_max_ms: int = preflight.SKEW_MAX_MS) -> list[str]:
    """Sentences that forbid a start of these accounts on the server behind `url`."""
    redis = connect(url, name="preflight")
    try:
        return [one.sentence for one in preflight.failed(await preflight.server(redis, accounts, skew_max_ms))]
    finally:
        await redis.aclose()


@pytest.fixture(params=["the embedded server", "redis 7.0"])
def binary(request: pytest.FixtureRequest) -> Path | None:
    """The program of a server: what is refused on one is refused on the other."""
    found: Path | None = None if request.param == "the embedded server" else request.getfixturevalue("old_server")
    return found


@pytest.fixture
async def served(tmp_path: Path, binary: Path | None) -> AsyncIterator[EmbeddedServer]:
    """One that is fit."""
    async with EmbeddedServer(tmp_path, binary=binary) as server:
        yield server


async def test_a_server_that_keeps_orders_is_fit_to_start_on(served: EmbeddedServer) -> None:
    """Nothing forbids it, and every script is accepted."""
    assert await refusals(served.url) == []


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru: the server would delete orders"),
        ({"maxmemory-policy": "volatile-ttl"}, "maxmemory-policy is volatile-ttl: the server would delete orders"),
        ({"appendonly": "no"}, "appendonly is off: a crash would lose orders; set appendonly yes."),
        ({"appendonly": "no", "save": "60 1"}, "appendonly is off: a crash would lose orders; set appendonly yes."),
    ],
)
async def test_a_server_that_loses_orders_is_refused_at_start(
    tmp_path: Path, binary: Path | None, extra: dict[str, str], sentence: str
) -> None:
    """One sentence says what to set."""
    async with EmbeddedServer(tmp_path, extra=extra, binary=binary) as server:
        [said] = await refusals(server.url)
    assert said.startswith(sentence)


async def test_a_replica_is_refused_at_start(tmp_path: Path, binary: Path | None) -> None:
    """It says to use the primary, which is fit."""
    async with replicated(tmp_path, binary) as pair:
        said = await refusals(pair.replica.url)
        assert await refusals(pair.primary.url) == []
    assert "The server is a replica; point redis_url at the primary, a replica takes no orders." in said


async def test_a_server_before_7_0_is_refused_at_start(served: EmbeddedServer) -> None:
    """A real server's answers, on whose way the version becomes an older one of the same length."""
    under_way: list[asyncio.Task[None]] = []
    async with await asyncio.start_server(_aged(served.url, under_way), LOOPBACK, 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        said = await refusals(f"redis://{LOOPBACK}:{port}/0")
        await asyncio.gather(*under_way)
    assert len(said) == 1
    assert "fillonce needs Redis or Valkey 7.0 or later." in said[0]


async def test_a_clock_that_differs_beyond_the_setting_is_refused_at_start(
    served: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deadlines would mean something else to the server than to the venue; a larger setting lets it pass."""
    here_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: here_ns() + 60_000_000_000)
    [said] = await refusals(served.url, skew_max_ms=20_000)
    assert "more than clock_skew_max_ms (20000); let both follow NTP." in said
    assert await refusals(served.url, skew_max_ms=600_000) == []


async def test_a_stream_that_was_trimmed_under_its_pending_entries_is_refused_at_start(
    served: EmbeddedServer, account: str
) -> None:
    """A command that nobody can read any more was lost; a person must look before trading goes on."""
    keys = AccountKeys(account)
    async with Redis.from_url(served.url) as redis:
        reader = Reader(redis, keys.intents, GATEWAYS, "gone", count=10, claim_idle_ms=60_000, clock=SystemClock())
        for _ in range(3):
            await redis.xadd(keys.intents, {"data": "{}"})
        assert [entry async for batch in reader.batches(burst=True) for entry in batch]
        assert await refusals(served.url, account) == []
        await redis.xtrim(keys.intents, maxlen=1, approximate=False)
    [said] = await refusals(served.url, account)
    assert "2 pending entries" in said
    assert keys.intents in said


@pytest.fixture(scope="session")
def old_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A redis-server 7.0 that runs here."""
    if named := os.environ.get("FILLONCE_OLD_SERVER_BIN"):
        return Path(named)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("redis-server 7.0 comes from Debian's packages, and this is no Debian; name one by a variable.")
    folder = tmp_path_factory.mktemp("old")
    folder.chmod(0o755)
    packages = folder / "packages"
    packages.mkdir()
    try:
        subprocess.run(
            ["apt-get", "download", *PACKAGES], cwd=packages, check=True, capture_output=True, timeout=DOWNLOAD_S
        )
    except (subprocess.SubprocessError, OSError):
        pytest.skip("Debian's packages of redis-server 7.0 cannot be fetched here.")
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "root"], check=True, capture_output=True)
    program = folder / "redis-server"
    libraries = ":".join(str(one) for one in (folder / "root" / "usr" / "lib").glob("*-linux-*"))
    # A name of its own keeps the libraries away from every other program; redis-check-rdb is the server itself.
    (folder / "root" / "usr" / "bin" / "redis-server").unlink(missing_ok=True)
    (folder / "root" / "usr" / "bin" / "redis-server").symlink_to("redis-check-rdb")
    server = folder / "root" / "usr" / "bin" / "redis-server"
    program.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{server}" "$@"\n')
    program.chmod(0o755)
    try:
        version = server_version(program)
    except ServerError:
        pytest.skip("Debian's redis-server does not run on this system.")
    if version.number[:2] != (7, 0):
        pytest.skip(f"Debian's package here is {version}, not 7.0.")
    return program


async def test_redis_7_0_is_fit_to_start_on(tmp_path: Path, old_server: Path) -> None:
    """The embedded configuration is accepted, and it is that version."""
    async with EmbeddedServer(tmp_path, binary=old_server) as server, Redis.from_url(server.url) as redis:
        assert (await redis.info("server"))["redis_version"].startswith("7.0.")
        assert await refusals(server.url) == []


async def test_redis_7_0_without_waitaof_is_asked_for_fsync_always(tmp_path: Path, old_server: Path) -> None:
    """Durability `disk` is kept with fsync always, and refused in one sentence without."""
    async with EmbeddedServer(tmp_path, binary=old_server) as server:
        redis = connect(server.url, name="claims")
        try:
            assert await (await Durability.open(redis, "disk", 1)).confirm()
            await redis.config_set("appendfsync", "everysec")
            with pytest.raises(UsageError, match="fsync always"):
                await Durability.open(redis, "disk", 1)
        finally:
            await redis.aclose()


async def test_the_scripts_and_the_whole_flow_work_on_redis_7_0(tmp_path: Path, old_server: Path) -> None:
    """Tests of the scripts and of one order from publish to commit, in a session on that server."""
    async with EmbeddedServer(tmp_path, binary=old_server) as server:
        with pytest_on(server.url, *CONTRACT) as session:
            out, _ = await asyncio.to_thread(session.communicate, timeout=RUN_S)
        assert session.returncode == 0, out[-3_000:]
        assert " passed" in out


async def test_one_order_from_publish_to_verify(redis: Redis, account: str) -> None:
    """Published, claimed, settled, filled, committed, and the journal folds to what is stored."""
    bench = await Bench(redis, account).open()
    entry, claim = await bench.claimed(place(account))
    name, token = claim.order.client_order_id, claim.order.token
    answer = Evidence(
        source="answer", format="", received_at_ns=1,
        command=Command(client_order_id=name, token=token, outcome=Accepted()),
    )  # fmt: skip
    assert await bench.scripts.settle(
        client_order_id=name, entry=entry.id, token=token, command="place", evidence=codec.encode(answer), raw=b""
    )
    await bench.say(execution(7, 1, name), form="binance.stream")
    await bench.say(execution(7, 1, name), form="binance.stream")
    rules = Rules(resubmission_allowed=True, calm_ms=1_000)
    ledger = Ledger(
        redis=redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode,
        settings=LedgerSettings(holder="old", lease_ms=3_000, rules=rules), clock=bench.clock,
    )  # fmt: skip
    await ledger.run(burst=True)
    order = await bench.order(name)
    assert order.status == "partially_filled"
    assert str(order.state.filled) == "0.4"
    assert await bench.pending(bench.keys.evidence, "ledgers") == 0
    checked = await verify(redis, bench.keys)
    assert checked.good, checked.differences


def _aged(url: str, served: list[asyncio.Task[None]]) -> Any:
    """Serve a server's own answers with `redis_version:6.2.…` in them; every connection leaves its task in `served`."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data.replace(b"redis_version:7.", b"redis_version:6."))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.append(task)
        answers, requests = await asyncio.open_unix_connection(url.removeprefix("unix://").partition("?")[0])
        back = asyncio.create_task(copy(answers, writer))
        try:
            await copy(reader, requests)
        finally:
            requests.close()
            await asyncio.gather(back, return_exceptions=True)
            writer.close()
            await asyncio.gather(requests.wait_closed(), writer.wait_closed(), return_exceptions=True)

    return serve
