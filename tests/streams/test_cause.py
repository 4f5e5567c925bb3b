"""Specification of streams/cause.py: every change of the journal names what caused it, whichever script wrote it."""

from typing import Any, get_args

from redis.asyncio import Redis

from streams import events
from streams.cause import cause
from streams.events import AnyChange
from tests.flow import Bench
from tests.resends import CASES

# Kind of change -> the fields that name its cause, of which every written change fills at least one.
NAMED_BY: dict[type[Any], tuple[str, ...]] = {
    events.Created: ("entry",),
    events.Imported: ("cause",),
    events.Claimed: ("gateway",),
    events.Ended: ("reason",),
    events.CancelRequested: ("entry",),
    events.Declined: ("entry",),
    events.Tombstone: ("entry",),
    events.Doubted: ("token", "cause"),
    events.Queued: ("lost",),
    events.Updated: ("evidence",),
    events.Parked: ("evidence",),
    events.Lapsed: ("since_ms",),
    events.Passed: ("evidence",),
    events.Adjusted: ("evidence",),
    events.Reconciled: ("because",),
    events.Quarantined: ("entry",),
    events.Forgotten: ("ended_ms",),
    events.Switched: ("who",),
    events.Clearing: ("who",),
    events.Opened: ("history",),
    events.Shut: ("history",),
    events.Enabled: ("entry",),
    events.StreamLost: ("reason",),
    events.StreamWhole: ("entry",),
}


async def test_every_kind_of_change_names_its_cause_as_the_scripts_write_it(redis: Redis) -> None:
    """Every script in every situation: each kind is seen, and none of them leaves its cause out."""
    assert set(NAMED_BY) == set(get_args(AnyChange))
    seen: set[type[Any]] = set()
    for number, case in enumerate(CASES.values()):
        bench = await Bench(redis, f"sim.cause{number}").open()
        await (await case.prepare(bench))(bench.scripts)
        rows: Any = await redis.xrange(bench.keys.events)
        for change in (one for _, fields in rows for one in events.decode(fields[b"data"]).changes):
            seen.add(type(change))
            assert any(getattr(change, name) for name in NAMED_BY[type(change)]), change
            assert cause(change), change
    assert seen == set(NAMED_BY)


def test_a_cancel_says_which_entry_asked_for_it_and_who() -> None:
    """A person, a rule or a strategy, where the intent names one."""
    change = events.CancelRequested(id="c", client_order_id="fo-1", entry="5-0", who="rule:ledger_lag")
    assert cause(change) == "entry 5-0 of intents, asked for by rule:ledger_lag"
    assert cause(events.CancelRequested(id="c", client_order_id="fo-1", entry="5-0")) == "entry 5-0 of intents"


def test_what_an_older_version_wrote_without_a_cause_is_left_open() -> None:
    """Nothing is made up."""
    assert cause(events.CancelRequested(id="c", client_order_id="fo-1")) == ""
    assert cause(events.Lapsed(id="l", venue_order="BTCUSDT:7", execution_id="7:1")) == ""
