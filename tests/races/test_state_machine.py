"""Everything at once, in any order, on the real server: a state machine against a model in plain Python.

The model knows what really happened at the venue. It sends nothing: a claim's request reaches its venue, or does
not, when the claim is settled, as hypothesis chooses; a window that closed at its claim never lets it arrive.
"""

import asyncio
import secrets
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.verify import verify
from tests.races.world import ORDERS_MAX, World

_orders = st.integers(0, ORDERS_MAX - 1)
_numbers = st.integers(0, 99)


class Protocol(RuleBasedStateMachine):
    """What may happen; `World` does it and knows what must be true afterwards."""

    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis: Redis = Redis.from_url(self.redis_url, decode_responses=False, retry=Retry(NoBackoff(), 0))
        self.world = World(self.redis, f"sim.m{secrets.token_hex(6)}")
        self._do(self.world.open())

    @initialize(depths=st.tuples(*[st.integers(0, 4)] * ORDERS_MAX))
    def begin(self, depths: tuple[int, ...]) -> None:
        """Some orders have a past already: published, claimed, at their venue, executed in part."""
        self._do(self.world.begin(depths))

    @rule(order=_orders)
    def publish(self, order: int) -> None:
        """A producer says it, perhaps again."""
        self._do(self.world.publish(order))

    @rule(order=_orders)
    def add_bare(self, order: int) -> None:
        """A producer in another language says it by XADD."""
        self._do(self.world.add_bare(order))

    @rule(order=_orders)
    def cancel(self, order: int) -> None:
        """Somebody wants it gone."""
        self._do(self.world.cancel(order))

    @rule(number=_numbers, closed=st.booleans())
    def claim(self, number: int, closed: bool) -> None:
        """Whatever gateway holds an entry claims it; sometimes it stands still until its window is over."""
        self._do(self.world.claim(number, closed=closed))

    @rule(number=_numbers, outcome=_numbers, reached=st.booleans(), twice=st.booleans())
    def settle(self, number: int, outcome: int, reached: bool, twice: bool) -> None:
        """A gateway settles what came of a claim."""
        self._do(self.world.settle(number, outcome, reached=reached, twice=twice))

    @rule(number=_numbers, count=st.integers(1, 3))
    def fill(self, number: int, count: int) -> None:
        """The venue executes; nobody has said so yet."""
        self.world.fill(number, count)

    @rule(number=_numbers, how=st.sampled_from(("frame", "trade", "report")), times=st.integers(1, 2))
    def say(self, number: int, how: str, times: int) -> None:
        """Anything that ever happened at the venue is told, in any order, as often as it likes."""
        self._do(self.world.say(number, how, times))

    @rule()
    def commit(self) -> None:
        """The ledger reads all there is."""
        self._do(self.world.commit())

    @rule(order=_orders)
    def sweep(self, order: int) -> None:
        """The resolver's sweep, as if the order were due, and the look-up that follows it."""
        self._do(self.world.sweep(order))

    @rule()
    def list_due(self) -> None:
        """The resolver lists what is due, and stands still before it sweeps."""
        self._do(self.world.list_due())

    @rule()
    def sweep_listed(self) -> None:
        """It goes on."""
        self._do(self.world.sweep_listed())

    @rule(number=_numbers)
    def fold(self, number: int) -> None:
        """A ledger folds what one entry says, and stands still before it writes."""
        self._do(self.world.fold(number))

    @rule(number=_numbers)
    def write(self, number: int) -> None:
        """It goes on, under an epoch that repeats."""
        self._do(self.world.write(number))

    @rule()
    def keep(self) -> None:
        """A replica has everything up to now, and its link is cut."""
        self._do(self.world.keep())

    @rule(early=st.lists(_orders, max_size=2))
    def lose(self, early: list[int]) -> None:
        """It is promoted: the rest is lost, and the gate opens when the venue's orders are imported.

        Some producer does not wait for that.
        """
        self._do(self.world.lose(early))

    @rule()
    def restart(self) -> None:
        """The server is another run that has everything; what was under way goes on."""
        self._do(self.world.restart())

    @rule()
    def crash(self) -> None:
        """Every process is gone with what it held."""
        self.world.crash()

    @rule(consumer=st.sampled_from(("gateway.0", "gateway.1")))
    def read(self, consumer: str) -> None:
        """A gateway reads; what others left is taken over by it."""
        self._do(self.world.read(consumer))

    @rule()
    def redeliver(self) -> None:
        """The group is set back: every intent is delivered once more, acknowledged or not."""
        self._do(self.world.redeliver())

    @rule()
    def flush_scripts(self) -> None:
        """The server forgets its scripts."""
        self._do(self.redis.script_flush())

    @invariant()
    def one_order_each(self) -> None:
        """No order has two requests that may still arrive, nor two at its venue."""
        self.world.assert_one_each()

    def teardown(self) -> None:
        """Let everything come to rest, and look."""
        try:
            self.come_to_its_end()
        finally:
            self.close()

    def come_to_its_end(self) -> None:
        """Let everything come to rest, and look."""
        self._do(self._end())

    def close(self) -> None:
        """Give back the connection and the loop."""
        self._do(self.redis.aclose())
        self.runner.close()

    async def _end(self) -> None:
        await self.world.come_to_rest()
        await self.world.assert_at_rest()
        verdict = await verify(self.redis, self.world.bench.keys)
        assert verdict.good, verdict

    def _do(self, step: Any) -> None:
        async def run() -> None:
            await step

        self.runner.run(run())


def test_whatever_happens_in_whatever_order_the_model_and_the_server_agree(redis_url: str) -> None:
    """One order at most at a venue, every execution that was said counted once, nothing lost, journal equals state."""

    class Here(Protocol):
        pass

    Here.redis_url = redis_url
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
