"""The example strategies at work in the demo: killed in the middle and begun anew, audited with everything else."""

import asyncio
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import uvloop
from redis.asyncio import Redis
from redis.exceptions import RedisError

from consumers.demo.plan import NAMES, Script
from consumers.demo.webhook import Webhook, signals
from consumers.starters import module
from streams.clock import SystemClock
from streams.connection import connect
from streams.host import Host
from streams.keys import AccountKeys
from streams.marks import publish_mark
from streams.parent import end_with_parent
from streams.strategy import Strategy
from streams.tasks import end

SCRIPT = "FILLONCE_DEMO_SCRIPT"
URL = "FILLONCE_REDIS_URL"
FEED_MS = 200
FIRST_LIFE_MS = 3_000
SWING, SWING_STEPS = 0.003, 40  # the mark's way from its middle, and the feed's steps of one swing


def find(name: str) -> Any:
    """An example's factory, by the name of its file; raises as `consumers.starters.starter`."""
    return getattr(module(name), name)


def build(script: Script) -> Sequence[Strategy]:
    """Make them for the demo's account; new objects, as a new process has them."""
    symbol = min(script.prices)
    middle, size = script.prices[symbol].quantize(Decimal(1)), Decimal("0.01")
    return [
        find("market_maker")(symbol=symbol, quantity=size),
        find("grid")(symbol=symbol, middle=middle, step=(middle / 1000).quantize(Decimal(1)), quantity=size),
        find("twap")(
            parent="demo", start=script.started_at, side="buy", quantity=6 * size, slices=6, symbol=symbol,
            every=timedelta(seconds=2),
        ),
        find("chaser")(parent="demo", account=script.account, side="sell", quantity=5 * size, symbol=symbol),
    ]  # fmt: skip


async def live(script: Script, url: str, until: "asyncio.Future[Any]") -> None:
    """Run all of them until something else is over, then let go of them in the middle of whatever they do."""
    hosts = [Host(one, url, [script.account], SystemClock()) for one in build(script)]
    for host in hosts:
        await host.broker.start()
    running = [asyncio.create_task(host.run()) for host in hosts]
    await asyncio.wait([until, *running], return_when=asyncio.FIRST_COMPLETED)
    failed = [error for one in running if one.done() and (error := one.exception()) is not None]
    await end(running)
    for host in hosts:
        await host.broker.stop()
        await host.close()
    if failed:
        raise failed[0]


async def feed(script: Script, redis: Redis) -> None:
    """Publish a mark that swings around the reference price, until the other strategies have said everything."""
    symbol, step = min(script.prices), 0
    while not await _said_everything(redis, AccountKeys(script.account)):
        away = Decimal(str(round(SWING * math.sin(2 * math.pi * step / SWING_STEPS), 6)))
        with suppress(RedisError, OSError):
            await publish_mark(redis, script.account, symbol, (script.prices[symbol] * (1 + away)).quantize(Decimal(1)))
        step += 1
        await asyncio.sleep(FEED_MS / 1000)


async def _said_everything(redis: Redis, keys: AccountKeys) -> bool:
    try:
        beats: Any = await redis.hgetall(keys.roles)
    except (RedisError, OSError):
        return False
    told = [orjson.loads(beat) for name, beat in beats.items() if name.startswith(b"strategy.")]
    return len(told) >= len(NAMES) and all(beat.get("done") for beat in told)


async def main() -> None:
    """Two lives: one that is killed, and one that goes on from what it finds."""
    script, url = msgspec.json.decode(os.environ[SCRIPT], type=Script), os.environ[URL]
    redis = connect(url, name="demo-marks", single=False)
    feeding = asyncio.create_task(feed(script, redis))
    webhook = Webhook(url, script.account)
    await webhook.start()
    sending = asyncio.create_task(webhook.send(signals(script)))
    await live(script, url, asyncio.create_task(asyncio.sleep(FIRST_LIFE_MS / 1000)))
    await webhook.kill()
    await webhook.start()
    await live(script, url, asyncio.create_task(_for_ever_after(sending)))
    await end([feeding])
    await webhook.kill()
    await sending  # only what it was answered wrongly ends it


async def _for_ever_after(sending: "asyncio.Task[None]") -> None:
    """Wait until this process is ended from outside, or the sender is answered wrongly."""
    await sending
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    end_with_parent()
    uvloop.run(main())
