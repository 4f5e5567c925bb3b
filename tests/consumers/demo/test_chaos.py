"""Kills and pauses of the demo: every role that it names is struck, and what was done is told by role."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from consumers.demo.audit import Audit
from consumers.demo.chaos import KILLS, PAUSES, Chaos, Tally, schedule
from consumers.demo.orchestrate import Result
from consumers.demo.progress import to_json
from consumers.roles import ROLES, Task
from consumers.supervise import Child
from streams.clock import SystemClock
from streams.server import EmbeddedServer
from streams.verify import Verdict
from tests.races.processes import stands_still
from tests.support import wait_until_async

PAUSE_MS, GAP_MS = 61_000, 30_000
STRUCK = Tally(dict[str, int](KILLS), dict[str, int](PAUSES), 1)  # type: ignore[arg-type]  # roles are words


class Idle(Task, frozen=True, kw_only=True):
    """A role that does nothing, in a process of its own."""

    @property
    def arguments(self) -> Sequence[str]:
        """Sleep."""
        return ("timeit", "-n", "1", "-r", "1", "import time; time.sleep(600)")


class Soon(SystemClock):
    """A clock by which nobody waits long."""

    async def sleep_ms(self, duration_ms: float) -> None:
        """Let the others go on."""
        await super().sleep_ms(min(duration_ms, 1))


class Watching(Soon):
    """A clock that looks, while a process is paused, at who stands still; before a blow everybody must be back."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children, self.stood = children, Counter[str]()
        self.chaos: Chaos

    async def sleep_ms(self, duration_ms: float) -> None:
        """See above."""
        if duration_ms == PAUSE_MS:
            await wait_until_async(lambda: any(map(stands_still, self.children)))
            self.stood.update(one.task.role for one in self.children if stands_still(one))
        elif duration_ms < GAP_MS:
            await wait_until_async(self.all_back)
        await super().sleep_ms(duration_ms)

    def all_back(self) -> bool:
        """Whether everybody who was killed was started again."""
        kills = sum(count for role, count in self.chaos.tally.kills.items() if role != "server")
        return sum(one.restarts for one in self.children) == kills and all(one.pid for one in self.children)


def test_gateways_ledger_listener_resolver_and_server_are_killed_gateways_and_ledger_paused() -> None:
    """No role is left out."""
    assert set(KILLS) == {*ROLES, "server"}
    assert set(PAUSES) == {"gateway", "ledger"}
    assert min(*KILLS.values(), *PAUSES.values()) >= 1


@given(st.integers(0, 2**32))
def test_every_run_has_every_blow_in_an_order_of_its_seed(seed: int) -> None:
    """As many of each as another run."""
    blows = schedule(seed)
    assert Counter(one.role for one in blows if one.kind == "kill") == KILLS
    assert Counter(one.role for one in blows if one.kind == "pause") == PAUSES
    assert blows == schedule(seed)


async def test_what_was_struck_is_counted_by_role(tmp_path: Path) -> None:
    """Real processes: killed they are started again, paused they stand still and go on; the server comes back."""
    children = [Child(Idle(role=role, account="sim.a"), {}, Soon()) for role in ROLES]
    gone: list[int] = []

    async def gap(gone_ms: int) -> None:
        gone.append(gone_ms)

    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        first = (await redis.info("server"))["run_id"]
        clock = Watching(children)
        clock.chaos = chaos = Chaos(1, server, children, PAUSE_MS, clock, gap=gap, gaps=2)
        try:
            for child in children:
                await child.start()
            await chaos.run()
            await wait_until_async(clock.all_back)
            assert not any(map(stands_still, children))
        finally:
            for child in children:
                await child.stop()
        await redis.connection_pool.disconnect()
        assert (await redis.info("server"))["run_id"] != first
    assert chaos.done
    assert (chaos.tally.kills, chaos.tally.pauses, chaos.tally.gaps) == (KILLS, PAUSES, 2)
    assert {one.task.role: one.restarts for one in children} == {role: KILLS[role] for role in ROLES}
    assert clock.stood == PAUSES
    assert gone == [GAP_MS] * 2


@pytest.mark.parametrize("blows", [STRUCK, None])
def test_a_program_is_told_of_kills_and_pauses_by_role_where_there_were_any(blows: Tally | None) -> None:
    """`demo --faults harsh --json`."""
    found = Audit(
        intents=1, venue_orders=1, intents_with_more_than_one_order=0, venue_fills=1, fills_applied=1, fills_missing=0,
        fills_doubled=0, position_mismatches=0, unknown_left=0,
    )  # fmt: skip
    verdict = Verdict(account="sim.a", entries=1, orders=1, stored="h", folded="h")
    result = Result(
        audit=found, signals_published=1, duplicates_refused=0, faults={}, faults_missing=(), seconds=1.0, restarts=0,
        verified=verdict, blows=blows,
    )  # fmt: skip
    told: dict[str, Any] = orjson.loads(to_json(result))
    assert told.get("kills") == (blows and KILLS)
    assert told.get("pauses") == (blows and PAUSES)
