"""How each role and each strategy is asked for its metrics and its health: wiring, no decision."""

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

from consumers.commands.figures import read_figures
from consumers.endpoint import Probe
from consumers.health import Health, Surroundings
from consumers.roles import Role, Workshop
from streams.host import Host
from streams.keys import GATEWAYS, LEDGERS, AccountKeys, strategy_group
from streams.scripts import Scripts
from streams.store import group_backlog
from streams.strategy import Strategy

SHUT = "the account's gate is shut"


def role_probe(shop: Workshop, role: Role) -> Probe:
    """Ask a role; the resolver, of which an account has one, also speaks for the account."""
    keys, redis = shop.keys, shop.redis("metrics", single=False)
    reads = {"gateway": ("intents", GATEWAYS), "ledger": ("evidence", LEDGERS)}.get(shop.task.role)

    def health() -> Health:
        waits_for = "" if role.figures().get("current", 1) else "the private stream is not complete yet"
        return Health(loop_age_ms=role.pulse.age_ms(), waits_for=waits_for)

    async def look() -> Surroundings:
        return await _surroundings(redis, keys, *reads) if reads else await _surroundings(redis, keys)

    async def state() -> Mapping[str, Any]:
        return await read_figures(redis, shop.task.account, shop.account.egress)

    return Probe(
        account=shop.task.account, role=shop.task.name, health=health, look=look, figures=role.figures,
        state=state if shop.task.role == "resolver" else None,
    )  # fmt: skip


def strategy_probe(host: Host, redis: Redis, account: str, name: str, strategy: Strategy) -> Probe:
    """Ask a strategy about one of its accounts."""

    def health() -> Health:
        waits_for = "" if host.ready(account) else "the strategy has not handled its snapshot yet"
        return Health(loop_age_ms=host.pulse(account).age_ms(), waits_for=waits_for)

    async def look() -> Surroundings:
        return await _surroundings(redis, AccountKeys(account), "events", strategy_group(strategy.name, strategy.copy))

    return Probe(account=account, role=name, health=health, look=look, figures=lambda: host.figures(account))


async def _surroundings(redis: Redis, keys: AccountKeys, stream: str = "", group: str = "") -> Surroundings:
    gate = await Scripts(redis, keys).gate()
    shut = "" if gate.is_open else SHUT
    if not stream:
        return Surroundings(shut=shut)
    found = await group_backlog(redis, getattr(keys, stream), group)
    return Surroundings(shut=shut, lag={stream: found["lag"]}, pending={stream: found["pending"]})
