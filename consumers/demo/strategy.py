"""One copy of one demo strategy, as a process: publishes its signals and reacts to events. Imports `streams` only."""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import orjson
import uvloop
from redis.exceptions import RedisError

from consumers.demo.plan import Script, last_words, react, signal
from streams import events
from streams.clock import SystemClock
from streams.connection import connect
from streams.errors import FillonceError, IntentConflict
from streams.identity import client_order_id
from streams.keys import AccountKeys
from streams.parent import end_with_parent
from streams.producer import IntentProducer, Receipt
from streams.reader import Reader
from streams.schemas import Intent, Place
from streams.store import accounts

SCRIPT = "FILLONCE_DEMO_SCRIPT"
URL = "FILLONCE_REDIS_URL"
RETRY_MS = 100
BEAT_MS = 250


class Copy:
    """One of the two copies of a strategy; both do the same, so everything is published twice."""

    def __init__(self, script: Script, copy: str, url: str) -> None:
        """Bind it."""
        self.script, self.name = script, f"strategy.{script.name}.{copy}"
        self.published = self.duplicates = self.conflicts = self.done = 0
        self._keys, self._clock, self._url = AccountKeys(script.account), SystemClock(), url
        self._redis = connect(url, name=self.name)
        self._producer = IntentProducer(self._redis, timeout_ms=5_000)
        self._entries: dict[str, int] = {}

    async def run(self) -> None:
        """Signal, react and report until ended from outside."""
        rule = (await accounts(self._redis))[self.script.account].id_rule
        for number in range(self.script.signals):
            intent = signal(self.script, number)[0]
            assert isinstance(intent, Place)
            # Known before anything is published: the other copy may be ahead, and its fills count for both.
            self._entries[client_order_id(intent, rule)] = number
        await asyncio.gather(self._signal(), self._react(), self._report())

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
                receipts = await self._producer.publish(intents)
            except FillonceError:
                await self._clock.sleep_ms(RETRY_MS)  # publishing again cannot become a second order
                continue
            self.published += len(receipts)
            self.duplicates += sum(isinstance(one, Receipt) and one.duplicate for one in receipts)
            self.conflicts += sum(isinstance(one, IntentConflict) for one in receipts)
            return

    async def _react(self) -> None:
        if self.script.name != "chaser":
            return
        redis = connect(self._url, name=f"{self.name}-events")
        reader = Reader(redis, self._keys.events, self.name, "only", count=200, claim_idle_ms=60_000, clock=self._clock)
        async for batch in reader.batches():
            for entry in batch:
                for change in events.decode(entry.fields[b"data"]).changes:
                    if isinstance(change, events.Updated):
                        reaction = react(self.script, change, self._entries)
                        if reaction is not None:
                            await self._publish([reaction])
            await self._insist(partial(redis.xack, self._keys.events, self.name, *(entry.id for entry in batch)))

    async def _report(self) -> None:
        redis = connect(self._url, name=f"{self.name}-heartbeat")
        while True:
            beat = {
                "pid": os.getpid(), "published": self.published, "duplicates": self.duplicates,
                "conflicts": self.conflicts, "done": self.done,
            }  # fmt: skip
            await self._insist(partial(redis.hset, self._keys.roles, self.name, orjson.dumps(beat).decode()))
            await self._clock.sleep_ms(BEAT_MS)

    async def _insist(self, step: Callable[[], Awaitable[object]]) -> None:
        """Do a step that may be done twice, as soon as Redis is there."""
        while True:
            try:
                await step()
            except (RedisError, OSError):
                await self._clock.sleep_ms(RETRY_MS)
            else:
                return


def main() -> None:
    """Run `python -m consumers.demo.strategy COPY`; the script and the server's address come from the environment."""
    end_with_parent()
    script = msgspec.json.decode(os.environ[SCRIPT], type=Script)
    uvloop.run(Copy(script, sys.argv[1], os.environ[URL]).run())


if __name__ == "__main__":
    main()
