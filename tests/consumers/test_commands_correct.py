"""`fillonce adjust` and `correct`: a person's word goes the way of all evidence, once, with who and why."""

import getpass
from decimal import Decimal

import pytest

from adapters.binance.decode import STREAM_FORMAT
from adapters.binance.facts import KEPT_MS
from streams import events
from streams.schemas import Accepted, Correction, Unknown
from streams.verify import verify
from tests.commands import Shell, words
from tests.consumers.test_commands_views import fold
from tests.flow import Bench, execution, place


async def _filled(bench: Bench, account: str) -> str:
    """An order with one execution of 0.4."""
    _, claim = await bench.claimed(place(account))
    name: str = claim.order.client_order_id
    await bench.say(outcome=Accepted(), order=claim.order)
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    await fold(bench)
    return name


async def test_an_adjustment_is_booked_once_with_who_and_why(bench: Bench, shell: Shell) -> None:
    """Said twice under one id it counts once; nobody reads evidence here, and that is said."""
    for _ in range(2):
        said = shell("adjust", "--asset", "bnb", "--amount", "-0.5", "--id", "cold", "--reason", "cold storage")
        assert said.code == 0
        assert "not applied yet" in said.err
    await fold(bench)
    [told] = [one.adjustment for one in await bench.journal() if isinstance(one, events.Adjusted)]
    assert (told.id, told.cause, told.amounts) == ("manual:cold", "manual", {"BNB": Decimal("-0.5")})
    assert told.reason == f"cold storage ({getpass.getuser()})"
    assert (await verify(bench.redis, bench.keys)).good


async def test_a_position_that_moved_without_an_order_is_moved_by_a_persons_word(bench: Bench, shell: Shell) -> None:
    """At the price that was said; it is no fill of anything."""
    moved = ("--symbol", "BTC/USDT", "--side", "sell", "--quantity", "2", "--price", "50000")
    assert shell("adjust", *moved, "--reason", "closed by the desk").code == 0
    await fold(bench)
    [told] = [one for one in await bench.journal() if isinstance(one, events.Adjusted)]
    assert (told.symbol, told.position_quantity) == ("BTC/USDT", "-2")
    assert (await verify(bench.redis, bench.keys)).good


async def test_an_execution_is_taken_back_once_however_often_it_is_said(
    bench: Bench, shell: Shell, account: str
) -> None:
    """The second time nothing is left to take back, and that is a sentence."""
    name = await _filled(bench, account)
    assert shell("correct", name, "7:1", "--reason", "busted, ticket 4711").code == 0
    await fold(bench)
    order = await bench.order(name)
    assert (order.state.filled, order.state.anomalies) == (Decimal(0), ("corrected",))
    again = shell("correct", name, "7:1", "--reason", "again")
    assert (again.code, again.err) == (1, f"{name} has no execution 7:1; see `fillonce trace {name}`.\n")
    assert (await verify(bench.redis, bench.keys)).good


async def test_an_execution_can_be_told_anew(bench: Bench, shell: Shell, account: str) -> None:
    """Its price changes, its quantity stays."""
    name = await _filled(bench, account)
    assert shell("correct", name, "7:1", "--price", "49000", "--reason", "price corrected").code == 0
    await fold(bench)
    state = (await bench.order(name)).state
    assert (state.filled, state.cost) == (Decimal("0.4"), Decimal(19_600))
    facts = [one for change in await bench.journal() if isinstance(change, events.Updated) for one in change.facts]
    assert [one.reason for one in facts if isinstance(one, Correction)] == [f"price corrected ({getpass.getuser()})"]
    assert (await verify(bench.redis, bench.keys)).good


async def _unknown(bench: Bench, account: str, since_ms: int) -> str:
    """An order whose request got no answer, that long ago."""
    _, claim = await bench.claimed(place(account))
    name: str = claim.order.client_order_id
    await bench.say(outcome=Unknown("cut"), order=claim.order)
    await fold(bench)
    send_by_ms = await bench.store.now_ms() - since_ms
    await bench.redis.hset(bench.keys.order(name), "send_by", str(send_by_ms))
    return name


async def test_an_order_that_the_venue_has_forgotten_ends_by_a_persons_word(
    bench: Bench, shell: Shell, account: str
) -> None:
    """Status names it and says what to run; it is rejected with who and why, in its story too, and never sent again."""
    name = await _unknown(bench, account, KEPT_MS)
    [one] = shell("status", "--json").json["accounts"]
    assert one["orders"]["for_a_person"] == [name]
    assert f"fillonce correct {name} --lost --reason WHY" in words(shell("status").out)
    assert shell("correct", name, "--lost", "--reason", "not in the export").code == 0
    await fold(bench)
    order = await bench.order(name)
    assert (order.status, order.state.reason) == ("rejected", f"person not in the export ({getpass.getuser()})")
    assert "not in the export" in shell("trace", name).out
    [one] = shell("status", "--json").json["accounts"]
    assert one["orders"]["for_a_person"] == []
    again = shell("correct", name, "--lost", "--reason", "again")
    assert (again.code, "is rejected" in again.err) == (1, True)
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)  # the person was wrong
    await fold(bench)
    order = await bench.order(name)
    assert (order.state.filled, order.state.anomalies) == (Decimal("0.4"), ("revived:rejected",))


async def test_nobody_gives_an_order_up_of_which_the_venue_can_still_tell(
    bench: Bench, shell: Shell, account: str
) -> None:
    """One sentence, exit code 1, nothing written."""
    name = await _unknown(bench, account, 3_600_000)
    before = await bench.redis.xlen(bench.keys.evidence)
    said = shell("correct", name, "--lost", "--reason", "impatient")
    assert (said.code, said.err) == (
        1, f"The venue can still tell what became of {name}; it is asked again and again.\n"
    )  # fmt: skip
    assert shell("correct", "fo-nothing", "--lost", "--reason", "x").err == "There is no order fo-nothing.\n"
    [one] = shell("status", "--json").json["accounts"]
    assert one["orders"]["for_a_person"] == []
    assert await bench.redis.xlen(bench.keys.evidence) == before


@pytest.mark.parametrize(
    "wrong",
    [
        ("adjust", "--reason", "x"),
        ("adjust", "--reason", "x", "--asset", "BNB", "--amount", "much"),
        ("adjust", "--reason", "x", "--asset", "BNB", "--amount", "1", "--symbol", "A/B", "--side", "buy",
         "--quantity", "1", "--price", "1"),
        ("adjust", "--reason", "x", "--symbol", "NO/SUCH", "--side", "buy", "--quantity", "1", "--price", "1"),
        ("correct", "fo-1", "7:1", "--reason", "x", "--price", "-1"),
        ("correct", "fo-1", "--reason", "x"),
        ("correct", "fo-1", "7:1", "--lost", "--reason", "x"),
        ("correct", "fo-1", "--lost", "--price", "1", "--reason", "x"),
    ],
)  # fmt: skip
async def test_bad_usage_is_one_sentence(bench: Bench, shell: Shell, wrong: tuple[str, ...]) -> None:
    """Exit code 2, nothing written."""
    before = await bench.redis.xlen(bench.keys.evidence)
    said = shell(*wrong)
    assert said.code == 2, said
    assert await bench.redis.xlen(bench.keys.evidence) == before
