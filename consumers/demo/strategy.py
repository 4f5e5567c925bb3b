"""One copy of one demo strategy, as a process: publishes its signals and reacts to events. Imports `streams` only."""

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import orjson
import uvloop
from redis.exceptions import RedisError

from consumers.demo.plan import Script, last_words, react, signal
from streams import Intents, Strategy
from streams.clock import SystemClock
from streams.connection import connect
from streams.errors import FillonceError, IntentConflict
from streams.host import Host
from streams.keys import AccountKeys
from streams.notices import OrderChanged
from streams.parent import end_with_parent
from streams.producer import IntentProducer
from streams.schemas import Intent

SCRIPT = "FILLONCE_DEMO_SCRIPT"
URL = "FILLONCE_REDIS_URL"
RETRY_MS = 100
BEAT_MS = 250


def router(script: Script, copy: str) -> Strategy:
    """The strategy as FastStream runs it: what the journal tells of its orders, and what it answers."""
    app = Strategy(script.name, accounts=[script.account], copy=copy)

    @app.on(OrderChanged)
    async def leave(order: OrderChanged, intents: Intents) -> None:
        answer = react(script, order)
        if answer is not None:
            # A late fill makes another answer under the same identity: the first one stands.
            with suppress(IntentConflict):
                await intents.place(answer)

    return app


class Copy:
    """One of the two copies of a strategy; both do the same, so everything is published twice."""

    def __init__(self, script: Script, copy: str, url: str) -> None:
        """Bind it."""
        self.script, self.name = script, f"strategy.{script.name}.{copy}"
        self.published = self.done = 0
        self._keys, self._clock, self._url = AccountKeys(script.account), SystemClock(), url
        self._producer = IntentProducer(connect(url, name=self.name), timeout_ms=5_000)
        self._host = Host(router(script, copy), url, [script.account], self._clock)

    async def run(self) -> None:
        """Signal, react and report until ended from outside."""
        await self._host.broker.start()
        await asyncio.gather(self._signal(), self._host.run(), self._report())

    async def _signal(self) -> None:
        for number in range(self.script.signals):
            await self._publish(signal(self.script, number))
            # The copies drift apart and together again, so either may be first.
            await self._clock.sleep_ms(self.script.pause_ms * random.uniform(0.2, 1.8))  # noqa: S311 - a demo's pace
        await self._publish(last_words(self.script))
        self.done = 1

    async def _publish(self, intents: Sequence[Intent]) -> None:
        while intents:
            try:
                self.published += len(await self._producer.publish(intents))
            except FillonceError:
                await self._clock.sleep_ms(RETRY_MS)  # publishing again cannot become a second order
            else:
                return

    async def _report(self) -> None:
        redis = connect(self._url, name=f"{self.name}-heartbeat")
        while True:
            told, figures = self._host.measures(), self._host.figures(self.script.account)
            beat = {
                "pid": os.getpid(), "published": self.published, "done": self.done, **figures,
                "duplicates": self._producer.duplicates + told.duplicates["publish"],
                "conflicts": self._producer.conflicts + told.conflicts["publish"],
            }  # fmt: skip
            with suppress(RedisError, OSError):  # it is said again
                await redis.hset(self._keys.roles, self.name, orjson.dumps(beat).decode())
            await self._clock.sleep_ms(BEAT_MS)


def main() -> None:
    """Run `python -m consumers.demo.strategy COPY`; the script and the server's address come from the environment."""
    end_with_parent()
    script = msgspec.json.decode(os.environ[SCRIPT], type=Script)
    uvloop.run(Copy(script, sys.argv[1], os.environ[URL]).run())


if __name__ == "__main__":
    main()
