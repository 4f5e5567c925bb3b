"""What a scraper is told of an account as a whole, against what the account really has."""

from typing import Any

from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.commands.figures import read_figures
from consumers.endpoint import Endpoint, Probe
from consumers.folding import Rules
from consumers.health import Health
from consumers.ledger import Ledger, LedgerSettings
from consumers.probing import SHUT, _surroundings
from streams.identity import client_order_id
from streams.keys import LEDGERS
from streams.settings import Settings
from tests.flow import INFO, LEASE_MS, Bench, execution, place
from tests.scrape import ask, samples


class Scraped:
    """A ledger that never runs by itself, asked as Prometheus asks it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ledger = Ledger(
            redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode, clock=bench.clock,
            settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=Rules(True, 30_000)),
        )  # fmt: skip

    async def ask(self, path: str, **settings: Any) -> tuple[int, str]:
        """Status and body."""
        bench = self.bench

        async def state() -> Any:
            return await read_figures(bench.redis, bench.account)

        probe = Probe(
            account=bench.account, role="ledger.0", health=lambda: Health(loop_age_ms=0), figures=self.ledger.figures,
            look=lambda: _surroundings(bench.redis, bench.keys, "evidence", LEDGERS), state=state,
        )  # fmt: skip
        endpoint = Endpoint([probe], self.ledger.measures, Settings(metrics="127.0.0.1:0", **settings))
        await endpoint.open()
        try:
            return await ask(endpoint.address, path)
        finally:
            await endpoint.close()

    async def metrics(self) -> dict[tuple[str, ...], float]:
        """Samples by name and labels but account and role."""
        found = samples((await self.ask("/metrics"))[1])
        return {(key[0], *key[3:]): value for key, value in found.items() if self.bench.account in key[1:2]}


async def test_each_figure_of_an_account_is_what_the_account_has(bench: Bench) -> None:
    """Orders by status, the oldest in doubt, parked, quarantined, lag and pending, duplicates and conflicts."""
    scraped = Scraped(bench)
    mine, others = place(bench.account), place(bench.account, "waits")
    await bench.publish(mine, others)
    for entry, terms in zip(await bench.read_intents(), (mine, others), strict=True):
        await bench.claim(entry, terms)
    name, other = (client_order_id(one, INFO.id_rule) for one in (mine, others))
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    await scraped.ledger.run(burst=True)
    for said in (
        execution(7, 1, name),  # told again
        execution(7, 2, other),  # of the venue order of another
        execution(99, 5, "somebody-else"), execution(98, 6, "somebody-else"),
        {"e": "executionReport"},
    ):  # fmt: skip
        await bench.say(said, form=STREAM_FORMAT)
    await scraped.ledger.run(burst=True)
    await bench.redis.hset(
        bench.keys.order(name), mapping={"status": "unknown", "send_by": await bench.store.now_ms() - 65_000}
    )
    for _ in range(3):
        await bench.redis.xadd(bench.keys.evidence, {"data": "{}"})
    found = await scraped.metrics()
    assert found["fillonce_orders", "unknown"] == found["fillonce_orders", "submitting"] == 1
    assert 65 <= found["fillonce_oldest_unknown_seconds",] < 95
    assert found["fillonce_parked_executions",] == 2
    assert found["fillonce_parked_oldest_seconds",] >= 0
    assert found["fillonce_quarantined_entries",] == await bench.redis.xlen(bench.keys.quarantine) >= 1
    assert (found["fillonce_lag_entries", "evidence"], found["fillonce_pending_entries", "evidence"]) == (3, 0)
    assert found["fillonce_duplicates_total", "stream"] == 1
    assert found["fillonce_conflicts_total", "evidence"] == 1
    assert found["fillonce_frame_to_commit_seconds_count",] == 1
    assert found["fillonce_cache_hits_total", "order"] + found["fillonce_cache_misses_total", "order"] > 0


async def test_a_shut_gate_and_a_backlog_are_why_an_account_is_not_ready(bench: Bench, redis: Redis) -> None:
    """Each with its sentence; healthy all the same, because a restart would not help."""
    scraped = Scraped(bench)
    await scraped.ledger.run(burst=True)
    assert await scraped.ask("/readyz") == (200, '{"ok":true,"why":[]}\n')
    await redis.xadd(bench.keys.evidence, {"data": "{}"})
    status, body = await scraped.ask("/readyz", ready_lag_max=0)
    assert (status, "1 entries of evidence are still to be read, more than 0" in body) == (503, True)
    await redis.hset(bench.keys.control, "history", "of another server")
    status, body = await scraped.ask("/readyz")
    assert (status, SHUT in body) == (503, True)
    assert (await scraped.ask("/healthz"))[0] == 200
    assert (await scraped.metrics())["fillonce_gate_open",] == 0
