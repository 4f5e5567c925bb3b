"""One role as one process: FastStream's application owns its life, from the first connection to the last answer."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec
import orjson
import uvloop
from faststream import FastStream
from faststream.redis import RedisBroker
from redis.exceptions import RedisError

from consumers import garbage, logs
from consumers.endpoint import Endpoint
from consumers.keyring import known_secrets
from consumers.probing import role_probe
from consumers.roles import Role, RoleName, Task, Workshop, build
from streams.errors import FillonceError, UsageError
from streams.parent import end_with_parent
from streams.settings import Settings, read
from streams.tasks import end

HEARTBEAT_MS = 500
# Answers that are still out at a stop have that long; the venue's own deadline is shorter.
DRAIN_S = 30

log = logging.getLogger("fillonce.worker")


async def work(task: Task, settings: Settings, env: Mapping[str, str]) -> int:
    """Run one role until SIGTERM, SIGINT or its own failure.

    Returns:
        Exit code: 0 after a stop that was asked for, 1 after a failure.
    """
    logs.set_up(task.name, settings.log_level, known_secrets(settings, env))
    shop, failed = Workshop(task, settings, env), asyncio.Event()
    app = FastStream(RedisBroker(settings.redis_url, logger=log), logger=None)
    running: list[asyncio.Task[None]] = []
    roles: list[Role] = []
    endpoints: list[Endpoint] = []

    def ended(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("%s failed: %s", task.name, error, exc_info=error)
            failed.set()
            app.exit()

    @app.after_startup
    async def start() -> None:
        try:
            role = await build(shop)
        # A venue or a server that is away, or loads its data: one sentence, and another try later.
        except (FillonceError, RedisError, OSError) as error:
            log.error("%s cannot start: %s", task.name, error)  # noqa: TRY400 - no trace for what needs none
            failed.set()
            app.exit()
            return
        roles.append(role)
        endpoints.append(await _serve(shop, role))
        heart = asyncio.create_task(_beat(shop, role, endpoints[0].address))
        main = asyncio.create_task(role.run())
        running.extend([main, heart, *(asyncio.ensure_future(one()) for one in shop.background)])
        for one in running:  # a role without what runs beside it is not whole, and its next start is cheap
            one.add_done_callback(ended)
        garbage.freeze()
        log.info("%s is up", task.name)

    @app.on_shutdown
    async def stop() -> None:
        for role in roles:
            role.stop()
        if running:
            await asyncio.wait(running[:1], timeout=DRAIN_S)
        await end(running)
        for endpoint in endpoints:
            await endpoint.close()
        await _last_beat(shop)
        await shop.close()
        log.info("%s is down", task.name)

    await app.run(sleep_time=0.05)
    return 1 if failed.is_set() else 0


async def _serve(shop: Workshop, role: Role) -> Endpoint:
    """Serve metrics and health, where the settings say so."""
    endpoint = Endpoint([role_probe(shop, role)], role.measures, shop.settings)
    await endpoint.open()
    return endpoint


async def _beat(shop: Workshop, role: Role, address: str) -> None:
    """Write the role's figures where `status` reads them; nothing decides by them."""
    redis = shop.redis("heartbeat")
    started_ms = time.time_ns() // 1_000_000
    while True:
        beat = {"pid": os.getpid(), "started_ms": started_ms, "at_ms": shop.server_clock.now_ms(), **role.figures()}
        for figures in shop.beside:
            beat |= figures()
        if address:
            beat["metrics"] = address
        try:
            await redis.hset(shop.keys.roles, shop.task.name, orjson.dumps(beat).decode())
        except (RedisError, OSError):
            log.debug("no heartbeat")
        await shop.clock.sleep_ms(HEARTBEAT_MS)


async def _last_beat(shop: Workshop) -> None:
    """Leave no heartbeat of a role that stopped in good order."""
    try:
        await shop.redis("goodbye").hdel(shop.keys.roles, shop.task.name)
    except (RedisError, OSError):
        log.debug("no goodbye")


def main(arguments: Sequence[str]) -> int:
    """Run `python -m consumers.worker ROLE ACCOUNT INDEX`; settings come from the environment alone."""
    role, account, index = arguments
    end_with_parent()
    try:
        settings = read("", os.environ)
        task = Task(role=msgspec.convert(role, RoleName), account=account, index=int(index))
        return uvloop.run(work(task, settings, os.environ))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
