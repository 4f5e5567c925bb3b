"""`fillonce trace` tells one order's story from the signal to the position, and nothing of any other."""

from decimal import Decimal

import orjson
from msgspec.structs import replace

from adapters.binance.decode import STREAM_FORMAT
from streams import codec, events
from streams.evidence import append
from streams.schemas import Accepted, Correction, Evidence, Execution, Inferred, Refused
from tests.commands import words
from tests.consumers.test_commands_views import fold
from tests.flow import execution, place


async def test_an_order_is_told_from_its_signal_to_its_position(bench, shell, account):
    """Intent, claim, answer and fill, each with its time, its cause and the venue's own bytes."""
    _, claim = await bench.claimed(place(account))
    await bench.publish(place(account, "another"))
    name = claim.order.client_order_id
    await bench.say(outcome=Accepted(), order=claim.order)
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    await fold(bench)
    told = shell("trace", name, "--json").json
    assert (told["account"], told["client_order_id"], told["status"]) == (account, name, "partially_filled")
    created, claimed, *updates = told["steps"]
    assert created["says"].startswith("became an order of test, signal s1")
    assert orjson.loads(created["evidence"][0]["raw"])["signal_id"] == "s1"
    assert f"claimed the place (token {claim.order.token})" in claimed["says"]
    assert updates[-1]["says"].startswith("partially_filled, 0.4 filled; position BTC/USDT is ")
    assert any(fact.startswith("fill 7:1: buy 0.4 at 50000") for fact in updates[-1]["facts"])
    [heard] = updates[-1]["evidence"]
    assert (heard["source"], heard["format"]) == ("stream", STREAM_FORMAT)
    assert orjson.loads(heard["raw"])["event"]["t"] == 1
    assert "another" not in orjson.dumps(told).decode()
    people = shell("trace", name).out
    assert "fill 7:1" in people
    assert "another" not in people


async def test_what_was_parked_for_an_order_is_a_part_of_its_story(bench, shell, account):
    """The execution came before the order was mapped, by the venue's id alone."""
    _, claim = await bench.claimed(place(account))
    name = claim.order.client_order_id
    await bench.say(execution(7, 1, ""), form=STREAM_FORMAT)
    await fold(bench)
    await bench.say(execution(7, 2, name, z="0.8"), form=STREAM_FORMAT)
    await fold(bench)
    says = [step["says"] for step in shell("trace", name, "--json").json["steps"]]
    assert any("execution 7:1 came before its order was known, and was parked" in one for one in says)


async def test_a_refusal_is_told_with_the_venues_reason(bench, shell, account):
    """The code and the words stand in the story."""
    _, claim = await bench.claimed(place(account))
    await bench.say(outcome=Refused("-2010", "no funds"), order=claim.order)
    await fold(bench)
    [*_, last] = shell("trace", claim.order.client_order_id, "--json").json["steps"]
    assert any("refused (-2010: no funds)" in fact for fact in last["facts"])


async def test_what_was_inferred_and_what_was_taken_back_is_told_with_its_cause(bench, shell, account):
    """The finding that made a reconciliation write it, what it did, and what the position came to."""
    _, claim = await bench.claimed(place(account))
    name = claim.order.client_order_id
    known = {"venue_symbol": "BTCUSDT", "venue_order_id": "7", "client_order_id": name, "side": "buy"}
    guess = Inferred(**known, filled=Decimal("0.4"), cost=Decimal(20_000), told_at_ms=1)
    await bench.say(execution(7, 1, name, z="0.4"), form=STREAM_FORMAT)
    real = Execution(
        **known, trade_id="1", quantity=Decimal("0.4"), price=Decimal(50_000), executed_at_ms=1,
    )  # fmt: skip
    bust = Correction(id="b", execution=real, corrected_at_ms=2, reason="not listed any more")
    said = [Evidence(source="reconcile", received_at_ns=1, finding="f1", fact=fact) for fact in (guess, bust)]
    await append(bench.redis, bench.keys, [(one, b"") for one in said])
    found = events.Found(
        id="f1", kind="busted", subject=name, here="filled 0.4", there="executed 0", severity="critical",
        action="correct", age_ms=1, done="correct",
    )  # fmt: skip
    report = events.Reconciled(id="r1", depth="full", because="start", findings=(found, replace(found, subject="x")))
    await fold(bench)
    await bench.scripts.report("r1", codec.encode_text(report), "{}")
    told = shell("trace", name, "--json").json["steps"]
    facts = [fact for step in told for fact in step["facts"]]
    assert any(fact.startswith("the venue took back fill 7:1: buy 0.4 at 50000") for fact in facts)
    corrected = next(step for step in told if any("took back" in fact for fact in step["facts"]))
    assert corrected["says"].startswith("partially_filled, 0 filled; position BTC/USDT is 0; anomalies: corrected")
    assert {(one["source"], one["finding"]) for one in corrected["evidence"]} >= {("reconcile", "f1")}
    assert told[-1]["says"] == (
        "a reconciliation (start) found busted f1 (filled 0.4 here, executed 0 at the venue), and did: correct"
    )
    assert "(finding f1)" in words(shell("trace", name).out)


async def test_an_order_that_nobody_knows_is_one_sentence(bench, shell):
    """Exit code 1, and where to look."""
    done = shell("trace", "fo-nobody")
    assert done.code == 1
    assert done.err == "The journal says nothing of an order fo-nobody; see `fillonce orders`.\n"
    assert bench
