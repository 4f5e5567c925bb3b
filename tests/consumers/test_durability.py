"""What must hold of a claim before it is sent, at each level, on real servers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from adapters.simulated.faults import OFF
from adapters.simulated.process import SimulatedVenue
from consumers.durability import COPYING, Durability, Level
from consumers.gateway import Gateway
from streams import codec
from streams.connection import connect
from streams.errors import UsageError
from streams.producer import publish_item
from streams.schemas import NotSent
from streams.server import EmbeddedServer
from tests import pipeline as parts
from tests.failover import LOOPBACK, Pair, replicated
from tests.pipeline import Pipeline, identities
from tests.proxy import Proxy
from tests.support import wait_until_async

pytestmark = pytest.mark.slow
WINDOW_MS = 300

# A replica on a busy machine may take its time; only whether it answers is looked at.
PATIENT_MS = 5_000


async def gateway_of(pipeline: Pipeline, level: Level, replicas_min: int = 1) -> Gateway:
    """A running gateway whose claims have this durability."""
    gateway = await pipeline.gateway(window_ms=WINDOW_MS, start=False)
    connection = gateway._claims._redis
    gateway._durability = await Durability.open(connection, level, replicas_min)
    running: Gateway = pipeline._start(gateway)
    return running


async def halt_reason(pipeline: Pipeline) -> str:
    """Why the account is halted; empty when it trades."""
    stored: Any = await pipeline.redis.hget(pipeline.keys.control, "halt")
    return stored.decode() if stored else ""


async def outcomes(pipeline: Pipeline) -> list[object]:
    """What gateways said became of their claims."""
    rows: Any = await pipeline.redis.xrange(pipeline.keys.evidence)
    said = [codec.decode_evidence(fields[b"data"]) for _, fields in rows]
    return [one.command.outcome for one in said if one.command is not None]


@pytest.mark.parametrize("level", ["memory", "disk"])
async def test_a_server_that_fsyncs_always_is_asked_once_at_most(pipeline: Pipeline, level: Level) -> None:
    """The answer to a claim is the confirmation once the disk was seen to keep one, and the orders go out."""
    gateway = await gateway_of(pipeline, level)
    calls = await waits(pipeline.redis)
    await pipeline.ledger()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    assert await waits(pipeline.redis) == calls + (level == "disk")
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    assert gateway.claimed == 2
    assert await waits(pipeline.redis) == calls + (level == "disk")


async def test_a_server_that_still_writes_what_it_copied_confirms_nothing_and_no_account_halts(tmp_path: Path) -> None:
    """Killed then, it would come back without the claim, whatever it syncs; it passes by itself."""
    pair = Pair(tmp_path)
    await asyncio.gather(pair.primary.start(), pair.replica.start())
    try:
        async with pair.link:
            await pair.before.mset({f"key{number}": "value" for number in range(60)})
            await pair.after.config_set("rdb-key-save-delay", 50_000)  # µs for each key of its first file
            await pair.after.execute_command("REPLICAOF", LOOPBACK, str(pair.link.port))
            await wait_until_async(lambda: _copied(pair.after))
            await pair.after.execute_command("REPLICAOF", "NO", "ONE")
            connection = connect(pair.replica.url, name="test", timeout_ms=PATIENT_MS)
            durability = await Durability.open(connection, "disk", 0)
            durability.confirm_ms = 1
            await connection.set("claim", "1")
            assert not await durability.confirm()
            assert (durability.silent, durability.reason) == (True, COPYING)
            durability.confirm_ms = 2 * PATIENT_MS
            await connection.set("claim", "2")
            assert await durability.confirm()
            await connection.aclose()
    finally:
        await pair.before.aclose()
        await pair.after.aclose()
        await asyncio.gather(pair.primary.stop(), pair.replica.stop())


async def _copied(replica: Redis) -> bool:
    return bool((await replica.info("replication")).get("master_link_status") == "up")


async def test_without_enough_replicas_nothing_is_sent_and_the_account_halts(pipeline: Pipeline) -> None:
    """The claim is settled as not sent; the reason is shown, and the venue never hears of the order."""
    gateway = await gateway_of(pipeline, "replica")
    await pipeline.ledger()
    await pipeline.resolver(window_ms=WINDOW_MS)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: halt_reason(pipeline))
    await pipeline.status(name, "created")
    reason = "fewer than 1 replicas confirmed a claim within 500 ms"

    async def said() -> bool:  # besides, on a slow machine the window may have passed and the resolver have looked
        return NotSent(reason) in await outcomes(pipeline)

    await pipeline.until(said)
    assert reason in await halt_reason(pipeline)
    await pipeline.until(lambda: gateway.halted)
    assert await pipeline.venue_orders() == []
    assert gateway.claimed == 1


async def test_a_halted_account_trades_again_when_it_is_resumed(pipeline: Pipeline) -> None:
    """What was held back goes out once, by a gateway that asks for less."""
    strict = await gateway_of(pipeline, "replica")
    await pipeline.ledger()
    await pipeline.resolver(window_ms=WINDOW_MS)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: halt_reason(pipeline))
    await pipeline.status(name, "created")
    await pipeline.kill(strict)
    await gateway_of(pipeline, "memory")
    await pipeline.scripts.halt("resume", "", "test")
    await pipeline.status(name, "open")
    await pipeline.quiet()
    assert identities(await pipeline.venue_orders()) == [name]


async def test_a_replica_that_follows_is_enough_and_one_that_is_cut_off_is_not(
    tmp_path: Path, venue_process: SimulatedVenue
) -> None:
    """WAIT counts what the claim's own connection wrote."""
    async with replicated(tmp_path) as pair, venue_process.control() as control:
        await control.set_faults(OFF)
        async with Pipeline(pair.primary.url, venue_process, control, next(parts._numbers)) as pipeline:
            await pipeline.register()
            await pipeline.open_gate()
            await gateway_of(pipeline, "replica")
            await pipeline.ledger()
            [first] = await pipeline.place(pipeline.terms())
            await pipeline.status(first, "open")
            assert not await halt_reason(pipeline)
            await pair.cut()
            [second] = await pipeline.place(pipeline.terms())
            await pipeline.until(lambda: halt_reason(pipeline))
            await pipeline.status(second, "created")
            assert identities(await pipeline.venue_orders()) == [first]


async def test_a_connection_that_is_new_confirms_nothing_for_the_one_that_claimed(tmp_path: Path) -> None:
    """WAIT on a connection without a write of its own would count replicas that never had the claim."""
    async with replicated(tmp_path) as pair:
        redis = connect(pair.primary.url, name="claims")
        try:
            durability = await Durability.open(redis, "replica", 1)
            durability.confirm_ms = PATIENT_MS
            await redis.set("claim", "1")
            assert await durability.confirm()
            own = await redis.client_id()
            await pair.before.execute_command("CLIENT", "KILL", "ID", own)
            assert not await durability.confirm()
        finally:
            await redis.aclose()


async def test_disk_asks_a_server_that_does_not_fsync_always(tmp_path: Path) -> None:
    """WAITAOF goes over the claim's connection before anything is sent."""
    async with EmbeddedServer(tmp_path, fsync="everysec") as server:
        redis = connect(server.url, name="claims")
        try:
            durability = await Durability.open(redis, "disk", 1)
            await redis.set("claim", "1")
            before = await waits(redis)
            assert await durability.confirm()
            assert await waits(redis) == before + 1
            await redis.config_set("appendfsync", "no")
            await redis.set("claim", "2")
            assert not await durability.confirm()
            assert "disk" in durability.reason
        finally:
            await redis.aclose()


async def test_a_server_that_came_back_with_weaker_settings_confirms_nothing(tmp_path: Path) -> None:
    """What was found out about the one before is doubted, and the reason says what to set."""
    async with EmbeddedServer(tmp_path) as server:
        redis = connect(server.url, name="claims")
        try:
            durability = await Durability.open(redis, "disk", 1)
            await redis.config_set("appendfsync", "no")
            assert await durability.confirm()
            durability.doubt()
            assert not await durability.confirm()
            assert "appendfsync always" in durability.reason
            await redis.config_set("appendfsync", "always")
            assert await durability.confirm()
        finally:
            await redis.aclose()


async def test_a_gateway_looks_again_at_a_server_whose_history_changed(pipeline: Pipeline) -> None:
    """Nothing is sent on the word of the server that was; the account halts with the reason."""
    gateway = await gateway_of(pipeline, "disk")
    gateway._durability._look = _refuse  # type: ignore[method-assign]  # what a server without a disk would lead to
    history: Any = await pipeline.redis.hget(pipeline.keys.control, "history")
    await pipeline.redis.hset(pipeline.keys.control, "history", "another")
    terms = pipeline.terms()
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": publish_item(terms, pipeline.info).data})
    await pipeline.until(lambda: not gateway._durability._looked)
    await pipeline.redis.hset(pipeline.keys.control, "history", history)
    await pipeline.until(lambda: halt_reason(pipeline))
    assert "no disk" in await halt_reason(pipeline)
    assert await pipeline.venue_orders() == []


async def _refuse() -> None:
    raise UsageError("There is no disk.")


async def test_a_server_that_is_gone_before_it_confirmed_a_claim_does_not_halt_the_account(
    tmp_path: Path, venue_process: SimulatedVenue
) -> None:
    """A restart is no broken promise: that claim is not sent, the next one is, and nobody has to resume anything."""
    async with (
        EmbeddedServer(tmp_path, fsync="everysec") as server,
        Proxy.redis(server.url) as proxy,
        venue_process.control() as control,
    ):
        await control.set_faults(OFF)
        async with Pipeline(proxy.url, venue_process, control, next(parts._numbers)) as pipeline:
            await pipeline.register()
            await pipeline.open_gate()
            proxy.drop(b"\r\nWAITAOF\r\n")
            gateway = await pipeline.gateway()
            await pipeline.ledger()
            await pipeline.resolver()
            [name] = await pipeline.place(pipeline.terms())
            await pipeline.status(name, "open")
            assert gateway.claimed == 2
            assert isinstance((await outcomes(pipeline))[0], NotSent)
            assert identities(await pipeline.venue_orders()) == [name]
            assert not await halt_reason(pipeline)


async def test_disk_without_an_append_only_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """It says what to set."""
    async with EmbeddedServer(tmp_path, extra={"appendonly": "no"}) as server:
        redis = connect(server.url, name="claims")
        try:
            with pytest.raises(UsageError, match=r"^Durability disk needs appendonly yes[^.]*\.$"):
                await Durability.open(redis, "disk", 1)
            await Durability.open(redis, "memory", 1)
        finally:
            await redis.aclose()


async def test_disk_on_a_server_that_leaves_fsync_to_the_system_is_refused(tmp_path: Path) -> None:
    """WAITAOF is never answered there: every claim would time out and halt the account."""
    async with EmbeddedServer(tmp_path, extra={"appendfsync": "no"}) as server:
        redis = connect(server.url, name="claims")
        try:
            with pytest.raises(UsageError, match="appendfsync"):
                await Durability.open(redis, "disk", 1)
        finally:
            await redis.aclose()


async def test_disk_on_a_server_that_hides_its_configuration_is_refused_in_one_sentence(redis_url: str) -> None:
    """A managed server without CONFIG ends in a sentence, not in a trace."""
    admin = connect(redis_url, name="admin")
    hidden = connect(redis_url, name="claims")
    try:
        await admin.execute_command("ACL", "SETUSER", "no-config", "on", "nopass", "~*", "+@all", "-config")
        await hidden.execute_command("AUTH", "no-config", "x")
        with pytest.raises(UsageError, match="appendfsync"):
            await Durability.open(hidden, "disk", 1)
    finally:
        await admin.execute_command("ACL", "DELUSER", "no-config")
        await hidden.aclose()
        await admin.aclose()


async def test_a_server_that_refuses_writes_without_replicas_ends_no_role(
    tmp_path: Path, venue_process: SimulatedVenue
) -> None:
    """NOREPLICAS is waited out by every role; the intent that waited goes out once."""
    async with EmbeddedServer(tmp_path) as server, venue_process.control() as control:
        await control.set_faults(OFF)
        async with Pipeline(server.url, venue_process, control, next(parts._numbers)) as pipeline:
            await pipeline.register()
            await pipeline.open_gate()
            await pipeline.all_roles(window_ms=WINDOW_MS)
            [first] = await pipeline.place(pipeline.terms())
            await pipeline.status(first, "open")
            await pipeline.redis.config_set("min-replicas-to-write", 1)
            await pipeline.house("SELL", "0.5")
            refused = await errors(pipeline.redis)
            await pipeline.until(lambda: _grown(pipeline.redis, refused + 20))
            assert [task for task in pipeline._tasks.values() if task.done()] == []
            await pipeline.redis.config_set("min-replicas-to-write", 0)
            [second] = await pipeline.place(pipeline.terms())
            await pipeline.status(second, "open", "partially_filled", "filled")
            await pipeline.agreed()
            assert sorted(identities(await pipeline.venue_orders())) == sorted([first, second])
            assert [task for task in pipeline._tasks.values() if task.done()] == []


async def waits(redis: Redis) -> int:
    """How often the server was asked by WAIT or WAITAOF."""
    stats = await redis.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("wait", "waitaof"))


async def errors(redis: Redis) -> int:
    """How often the server refused a write for want of replicas."""
    return int((await redis.info("errorstats")).get("errorstat_NOREPLICAS", {}).get("count", 0))


async def _grown(redis: Redis, least: int) -> bool:
    return await errors(redis) >= least
