"""The far ends of a latency, each a process of its own that notes when something reached it.

`python -m benchmarks.observed floor|ledger|handler URL`; told to end, it says what it has noted: monotonic ns, which
all processes of a machine share.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import uvloop
from redis.asyncio import Redis

from benchmarks.child import say, until_ended
from benchmarks.ground import ACCOUNT, TIMEOUT_MS, rows
from benchmarks.workers import settings
from consumers import ledger as product
from consumers.roles import Task
from consumers.worker import work
from streams import events
from streams.clock import SystemClock
from streams.connection import connect
from streams.keys import AccountKeys
from streams.parent import end_with_parent
from streams.plans import CommitPlan, Committed
from streams.reader import BLOCK_MS, Reader
from streams.schemas import Execution
from streams.scripts import Scripts
from streams.tasks import end

KEYS: Final = AccountKeys(ACCOUNT)
FLOOR_STREAM: Final = f"bench:{{{ACCOUNT}}}:wake"
STRATEGY: Final = "bench-strategy"
# The least that a consumer with a state must do for what it was woken with.
FLOOR_SCRIPT: Final = """
for number = 2, #ARGV do
  redis.call('HSET', KEYS[2], 'state', ARGV[number])
  redis.call('XADD', KEYS[3], '*', 'data', ARGV[1])
end
return redis.call('XACK', KEYS[1], 'bench', unpack(ARGV, 2))
"""

Noted = dict[str, int]


async def floor(redis: Redis, noted: Noted) -> None:
    """Wake up for entries of `FLOOR_STREAM` and run one script, on two connections as a ledger has them."""
    scripts = connect(str(sys.argv[2]), name="bench-floor-script", timeout_ms=TIMEOUT_MS)
    await redis.xgroup_create(FLOOR_STREAM, "bench", id="0", mkstream=True)
    script = await scripts.script_load(FLOOR_SCRIPT)
    say({})
    while True:
        reply: Any = await redis.xreadgroup("bench", "one", {FLOOR_STREAM: ">"}, count=256, block=BLOCK_MS)
        if entries := rows(reply):
            keys = (FLOOR_STREAM, f"{FLOOR_STREAM}:order", f"{FLOOR_STREAM}:events")
            await scripts.evalsha(script, 3, *keys, entries[0][1][b"data"], *(entry for entry, _ in entries))
            now_ns = time.perf_counter_ns()
            noted.update((fields[b"key"].decode(), now_ns) for _, fields in entries)


async def handler(redis: Redis, noted: Noted) -> None:
    """Hand every execution of `events` to a strategy: the product's reader, its decoder, and a note."""
    reader = Reader(redis, KEYS.events, STRATEGY, "one", count=128, claim_idle_ms=TIMEOUT_MS, clock=SystemClock())
    say({})
    async for batch in reader.batches():
        for entry in batch:
            for change in events.decode(entry.fields[b"data"]).changes:
                for fact in change.facts if isinstance(change, events.Updated) else ():
                    if isinstance(fact, Execution):
                        noted[fact.trade_id] = time.perf_counter_ns()
        await redis.xack(KEYS.events, STRATEGY, *(entry.id for entry in batch))


def ledger(url: str, noted: Noted) -> None:
    """Run the ledger's worker; each commit's reply is noted for the entries it acknowledged."""

    class Observed(Scripts):
        async def commit(self, plan: CommitPlan, epoch: int, lease_ms: int) -> Committed:
            done = await super().commit(plan, epoch, lease_ms)
            now_ns = time.perf_counter_ns()
            noted.update((entry.entry, now_ns) for entry in plan.entries)
            return done

    product.Scripts = Observed  # type: ignore[attr-defined]  # the one seam: when did the reply come
    say({})
    uvloop.run(work(Task(role="ledger", account=ACCOUNT), settings(url), {}))
    say(noted)


async def _run(kind: str, url: str) -> None:
    noted: Noted = {}
    redis = connect(url, name=f"bench-{kind}", timeout_ms=TIMEOUT_MS)
    running = asyncio.create_task((floor if kind == "floor" else handler)(redis, noted))
    ending = asyncio.create_task(until_ended())
    await asyncio.wait([running, ending], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    await end([running, ending])
    say(noted)


def main(arguments: Sequence[str]) -> None:
    """Run one of them until SIGTERM."""
    end_with_parent()
    kind, url = arguments
    if kind == "ledger":
        ledger(url, {})
    else:
        uvloop.run(_run(kind, url))


if __name__ == "__main__":
    main(sys.argv[1:])
