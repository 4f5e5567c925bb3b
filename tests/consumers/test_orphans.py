"""Cancelling a scope's orders that have no live record: by symbol, by account, by what a record says of a strategy."""

from decimal import Decimal

import pytest

from consumers.clearing import Clearing, Orphans
from consumers.findings import Finding
from consumers.orphans import concerns, finder, found, policies
from consumers.patrol import Report
from streams import events
from streams.policy import Policies, ReconcileSettings
from streams.rules import Rule, Rules
from tests.consumers.test_guard import guarding, refuse
from tests.pipeline import Pipeline


def finding(name: str, kind: str, **changes: object) -> Finding:
    """One difference of BTC/USDT, confirmed, to be cancelled."""
    given: dict[str, object] = {
        "id": name, "kind": kind, "subject": name, "here": "h", "there": "t", "severity": "critical",
        "action": "cancel", "first_seen_ms": 1, "age_ms": 0, "confirmed": True, "symbol": "BTC/USDT",
    }  # fmt: skip
    return Finding(**{**given, **changes})  # type: ignore[arg-type]  # the words of a finding


def test_what_belongs_to_a_scope_is_told_by_symbol_and_by_the_records_strategy() -> None:
    """A client order id is a digest: it tells no strategy."""
    orphan, zombie, other = finding("o", "orphan"), finding("z", "zombie", strategy="s"), finding("g", "ghost")
    assert [concerns(one, "") for one in (orphan, zombie, other)] == [True, True, False]
    assert [concerns(orphan, scope) for scope in ("symbol:BTC/USDT", "symbol:ETH/USDT", "strategy:s")] == [
        True, False, False,
    ]  # fmt: skip
    assert [concerns(zombie, scope) for scope in ("strategy:s", "strategy:t")] == [True, False]
    second, flagged_next = finding("d", "double", strategy="s"), finding("d", "double", action="apply")
    assert [concerns(second, scope) for scope in ("", "symbol:BTC/USDT", "strategy:s", "strategy:t")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert not concerns(flagged_next, "")


def test_an_orphan_of_ours_is_named_where_nobody_can_tell_its_strategy() -> None:
    """Foreign ones are nobody's strategy; one that a second look must confirm is looked at again."""
    findings = [
        finding("ours", "orphan"), finding("foreign", "orphan", action="leave"),
        finding("z", "zombie", strategy="s", confirmed=False),
    ]  # fmt: skip
    report = Report(account="a", asked_at_ms=1, depth="light", because="b", findings=findings, done={"ours": "cancel"})
    assert found(report, "strategy:s") == Orphans([], ["z"], ["ours"], again=True)
    assert found(report, "") == Orphans(["ours"], ["foreign", "z"], [], again=True)


@pytest.mark.parametrize(
    ("scope", "foreign", "others"),
    [("", False, "leave"), ("", True, "cancel"), ("strategy:s", True, "leave"), ("symbol:BTC/USDT", True, "cancel")],
)
def test_ours_are_cancelled_and_others_as_asked(scope: str, foreign: bool, others: str) -> None:
    """Whatever the settings do about them otherwise."""
    told = ReconcileSettings(orphans=Policies(ours="leave", foreign="adopt", by={"BTC/USDT": "leave"}))
    assert policies(told, scope, foreign=foreign).orphans == Policies(ours="cancel", foreign=others, by={})  # type: ignore[arg-type]  # a word of it


async def _orphan(pipeline: Pipeline, **changes: object) -> str:
    """An order of ours that rests at the venue and has lost its record."""
    [name] = await pipeline.place(pipeline.terms(**changes))
    await pipeline.status(name, "open")
    await pipeline.redis.delete(pipeline.keys.order(name))
    await pipeline.redis.zrem(pipeline.keys.live, name)
    return name


async def _books(pipeline: Pipeline) -> list[str]:
    return [one["status"] for one in await pipeline.venue_orders()]


async def test_a_rule_that_halts_and_cancels_takes_orders_without_a_record_too(pipeline: Pipeline) -> None:
    """In its own name; nothing of ours is left at the venue."""
    await pipeline.ledger()
    await pipeline.gateway()
    await pipeline.resolver()
    name = await _orphan(pipeline)
    patrol = await pipeline.patrol(policies=policies(ReconcileSettings(), "", foreign=False).orphans, who="rule:r")
    rules = Rules(refusals_in_a_row=Rule(above=0, action="halted_and_cancel"))
    async with guarding(pipeline, rules, orphans=lambda who: finder(patrol, "", who)):
        await refuse(pipeline, 1)
        await pipeline.status(name, "cancelled")
    assert "NEW" not in await _books(pipeline)
    [asked] = [one for one in await pipeline.journal() if isinstance(one, events.CancelRequested)]
    assert (asked.client_order_id, asked.who) == (name, "rule:r")


async def test_a_strategys_scope_leaves_and_names_what_may_be_anybodys(pipeline: Pipeline) -> None:
    """An orphan, and one that was adopted: neither has its intent."""
    await pipeline.ledger()
    await pipeline.gateway()
    orphan, adopted, own = await _orphan(pipeline), await _orphan(pipeline), pipeline.terms(price=Decimal(90))
    usual = await pipeline.patrol()
    await usual.once("full", "command", lambda one: one.subject == adopted)
    await pipeline.status(adopted, "open")
    [name] = await pipeline.place(own)
    await pipeline.status(name, "open")
    scope = "strategy:test"
    patrol = await pipeline.patrol(policies=policies(ReconcileSettings(), scope, foreign=False).orphans)
    clearing = Clearing(
        pipeline.redis, pipeline.account, scope, pipeline.clock, who="me", orphans=finder(patrol, scope, "command")
    )
    assert await clearing.run(20_000)
    assert list(clearing.left.unclear) == sorted([orphan, adopted])
    assert (await pipeline.order(name)).status == "cancelled"
    assert sorted(await _books(pipeline)) == ["CANCELED", "NEW", "NEW"]
