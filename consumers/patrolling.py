"""The comparison of venue and records, built from settings: for the resolver's process, and for a command."""

from typing import TYPE_CHECKING

from redis.asyncio import Redis

from adapters import registry
from adapters.venue import Venue
from consumers.findings import Terms
from consumers.patrol import Patrol, PatrolSettings
from consumers.repair import Repair
from consumers.survey import Survey
from streams.policy import ReconcileSettings

if TYPE_CHECKING:
    from consumers.roles import Workshop


def patrol(
    shop: "Workshop", redis: Redis, venue: Venue, who: str = "reconciler", told: ReconcileSettings | None = None
) -> Patrol:
    """Wire it.

    Args:
        shop: of the account.
        redis: a pool.
        venue: what is asked.
        who: asks for its cancels.
        told: how to reconcile; by default as the account's settings say.
    """
    plug, told = registry.plug(shop.venue_name), told or shop.account.reconcile
    terms = Terms(
        id_rule=venue.facts.id_rule,
        gap_ms=told.absence_gap_ms or 3 * venue.facts.lookup_lag_ms,
        own_ids=venue.facts.own_ids,
        drift_ratio=told.drift_ratio,
        policies=told.orphans,
    )
    return Patrol(
        redis=redis,
        keys=shop.keys,
        survey=Survey(
            redis=redis, keys=shop.keys, venue=venue, decode=plug.decode, holdings=plug.holdings,
            positions=plug.positions, symbols=shop.account.symbols,
        ),
        repair=Repair(
            redis=redis, keys=shop.keys, venue=venue, describe=plug.describe, window_ms=shop.account.send_window_ms,
            decode=plug.decode, gap_ms=terms.gap_ms, clock=shop.clock, who=who,
        ),
        settings=PatrolSettings(
            light_ms=shop.settings.reconcile_light_ms, full_ms=shop.settings.reconcile_full_ms, terms=terms,
            modes=told.modes,
        ),
        clock=shop.clock,
    )  # fmt: skip
