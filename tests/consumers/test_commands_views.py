"""`fillonce orders`, `positions` and `status` show what is stored, and only that."""

import signal
from datetime import timedelta

import orjson
import pytest

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from tests.commands import words
from tests.flow import LEASE_MS, Bench, execution, place, status
from tests.support import wait_until


async def fold(bench: Bench) -> None:
    """Let a ledger apply what is in `evidence`."""
    ledger = Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode, clock=bench.clock,
        settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=Rules(True, 30_000)),
    )  # fmt: skip
    await ledger.run(burst=True)


async def filled(bench: Bench, account: str) -> str:
    """An order with one execution of 0.4, and its client order id."""
    _, claim = await bench.claimed(place(account))
    name = claim.order.client_order_id
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    await fold(bench)
    return name


async def test_orders_are_listed_the_latest_changed_first(bench, shell, account):
    """The order that changed last stands first; `--limit` cuts the oldest."""
    first = await filled(bench, account)
    await bench.publish(place(account, "b"), place(account, "c"))
    listed = shell("orders", "--json").json["orders"]
    assert [one["signal_id"] for one in listed] == ["c", "b", "s1"]
    assert [one["signal_id"] for one in shell("orders", "--limit", "2", "--json").json["orders"]] == ["c", "b"]
    oldest = listed[-1]
    assert (oldest["client_order_id"], oldest["status"]) == (first, "partially_filled")
    assert (oldest["quantity"], oldest["price"], oldest["filled"], oldest["cost"]) == ("1", "50000", "0.4", "20000")
    assert oldest["venue_order_ids"] == ["7"]


async def test_orders_are_filtered_by_status_symbol_and_id(bench, shell, account):
    """Filters of live statuses, of finished ones, of the symbol and of the id each give what they say."""
    await bench.publish(
        place(account, "old", signal_time=place(account).signal_time - timedelta(days=1)),
        place(account, "eth", symbol="ETH/USDT"),
    )
    for entry in await bench.read_intents():
        terms = place(account, "old", signal_time=place(account).signal_time - timedelta(days=1))
        if b'"old"' in entry.fields[b"data"]:
            await bench.claim(entry, terms)

    def signals(*arguments: str) -> list[str]:
        return [one["signal_id"] for one in shell("orders", *arguments, "--json").json["orders"]]

    assert signals("--status", "created") == ["eth"]
    assert signals("--status", "expired") == ["old"]
    assert sorted(signals("--status", "created", "--status", "expired")) == ["eth", "old"]
    assert signals("--symbol", "ETH/USDT") == ["eth"]
    [eth] = shell("orders", "--symbol", "ETH/USDT", "--json").json["orders"]
    assert signals(eth["client_order_id"]) == ["eth"]


@pytest.mark.usefixtures("bench")
async def test_an_order_that_is_not_there_exits_1(shell):
    """Asking for one order that does not exist is answered with a sentence and exit code 1."""
    said = shell("orders", "fo-nothing")
    assert (said.code, said.err) == (1, "There is no order fo-nothing.\n")


@pytest.mark.usefixtures("bench")
async def test_an_account_that_is_not_there_is_bad_usage(shell):
    """An account that is neither in the settings nor registered is named, with exit code 2."""
    said = shell("positions", "--account", "sim.nobody")
    assert said.code == 2
    assert "No account sim.nobody; there are: " in said.err


async def test_positions_show_quantity_average_price_and_fees(bench, shell, account):
    """A fill of 0.4 at 50,000 is a position of 0.4 at 50,000; JSON has the exact amounts as text."""
    await filled(bench, account)
    [one] = shell("positions", "--json").json["positions"]
    assert (one["account"], one["symbol"]) == (account, "BTC/USDT")
    assert (one["quantity"], one["entry_cost"], one["average_price"]) == ("0.4", "20000", "50000")
    assert f"{account} BTC/USDT 0.4 50000" in words(shell("positions").out)


@pytest.mark.usefixtures("bench")
async def test_nothing_stored_is_said(shell):
    """Empty lists are empty documents for programs and a word for people; both exit 0."""
    assert shell("orders", "--json").json == {"orders": []}
    assert shell("positions").out == "No positions.\n"


async def test_status_counts_live_orders_parked_fills_and_quarantined_entries(bench, shell, account, redis):
    """Status tells the gate, live orders by status, the age of doubt, backlog, parked and quarantined with reasons."""
    await filled(bench, account)
    await bench.publish(place(account, "waits"))
    await bench.say(execution(99, 5, "somebody-else"), form=STREAM_FORMAT)
    await bench.say({"e": "executionReport"}, form=STREAM_FORMAT)
    await fold(bench)
    [doubted] = [one.client_order_id for one in await bench.store.all_orders() if one.status == "partially_filled"]
    await redis.hset(
        bench.keys.order(doubted), mapping={"status": "unknown", "send_by": await bench.store.now_ms() - 65_000}
    )
    since_ms = await bench.store.now_ms() - 125_000
    await redis.zadd(bench.keys.parked_index, {bench.keys.parked("BTCUSDT", "99"): since_ms})
    await redis.xadd(bench.keys.evidence, {"data": "{}"})
    [one] = shell("status", "--json").json["accounts"]
    assert one["gate"]["open"]
    assert one["orders"]["live"] == 2
    assert sorted(one["orders"]["by_status"]) == ["created", "unknown"]
    assert 65_000 <= one["orders"]["oldest_unknown_ms"] < 95_000
    assert one["parked"]["executions"] == 1
    [waiting] = one["parked"]["waiting"]
    assert waiting["venue_order"] == "BTCUSDT:99"
    assert 125_000 <= waiting["age_ms"] == one["parked"]["oldest_ms"] < 170_000
    assert one["quarantined"]["count"] == 1
    assert "missing required field" in one["quarantined"]["last"][0]["reason"]
    assert one["backlog"]["evidence"]["lag"] == 1
    shown = words(shell("status").out)
    assert "oldest unknown since" in shown
    assert "1 executions of 1 orders, the oldest since 2 min" in shown


async def test_what_a_venue_says_cannot_steer_a_terminal(bench, shell, redis):
    """Control characters in a reason are shown as replacements; JSON has them escaped."""
    await redis.xadd(bench.keys.quarantine, {"data": orjson.dumps({"reason": "a\x1b]0;b\x07c\x9bd"}), "raw": b""})
    assert "a\N{REPLACEMENT CHARACTER}]0;b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}d" in shell("status").out
    assert shell("status", "--json").json["accounts"][0]["quarantined"]["last"][0]["reason"] == "a\x1b]0;b\x07c\x9bd"


async def test_status_says_why_the_gate_is_shut(bench, shell, redis):
    """After the server's history changed the gate is shut, and the reason says so, and that no resolver runs."""
    await redis.hset(bench.keys.control, "history", "of another server")
    [one] = shell("status", "--json").json["accounts"]
    assert not one["gate"]["open"]
    assert one["gate"]["reason"] == "the server restarted or was replaced, and no resolver runs"
    assert "SHUT" in shell("status").out


async def test_status_says_what_the_last_comparison_could_not_compare(bench, shell, redis):
    """While something is left to a person that would be the difference."""
    told = {"at_ms": 1, "depth": "full", "findings": 1, "left": 1, "not_compared": ["*", "BTC/USDT:USDT"]}
    await redis.hset(bench.keys.control, "reconciled", orjson.dumps(told).decode())
    said = words(shell("status").out)
    assert "1 findings are left; not compared meanwhile: every asset, BTC/USDT:USDT" in said


async def test_status_does_not_say_that_the_books_agree_while_a_difference_is_looked_at_again(bench, shell, redis):
    """It may be a fill on its way; it may be more."""
    told = {"at_ms": 1, "depth": "full", "findings": 0, "left": 0, "in_doubt": 2, "not_compared": []}
    await redis.hset(bench.keys.control, "reconciled", orjson.dumps(told).decode())
    said = words(shell("status").out)
    assert "nothing is certain to be left, 2 differences are looked at again" in said
    assert "agree" not in said


async def test_status_says_which_step_of_a_start_failed(bench, shell, redis):
    """In the words of the resolver, which is at it."""
    await redis.hset(bench.keys.control, "history", "of another server")
    fresh_ms = await bench.store.now_ms() + 600_000  # whenever the command gets to it
    beat = {"pid": 1, "started_ms": 1, "at_ms": fresh_ms, "shut": "the venue answered HTTP 503"}
    await redis.hset(bench.keys.roles, "resolver.0", orjson.dumps(beat).decode())
    [one] = shell("status", "--json").json["accounts"]
    assert "the venue answered HTTP 503" in one["gate"]["reason"]


async def test_a_role_without_a_heartbeat_is_marked(bench, shell, redis):
    """A beat older than three seconds is stale; restarts come from the supervisor's own beat."""
    now_ms = await bench.store.now_ms()
    beats = {
        "ledger.0": {"pid": 11, "started_ms": now_ms - 60_000, "at_ms": now_ms - 10_000, "applied": 3},
        "gateway.0": {"pid": 12, "started_ms": now_ms - 60_000, "at_ms": now_ms + 600_000, "claimed": 4},
        "supervisor": {"pid": 13, "started_ms": now_ms, "at_ms": now_ms, "restarts": {"gateway.0": 2}},
    }
    await redis.hset(bench.keys.roles, mapping={name: orjson.dumps(beat) for name, beat in beats.items()})
    roles = {one["role"]: one for one in shell("status", "--json").json["accounts"][0]["roles"]}
    assert (roles["ledger.0"]["stale"], roles["gateway.0"]["stale"]) == (True, False)
    assert (roles["gateway.0"]["restarts"], roles["ledger.0"]["restarts"]) == (2, None)
    assert (roles["ledger.0"]["pid"], roles["ledger.0"]["figures"]) == (11, {"applied": 3})
    assert "ledger.0 (STALE)" in shell("status").out


async def test_a_process_that_ends_before_it_can_say_a_word_is_shown(bench, shell):
    """A strategy that cannot even start: its restarts are known to the supervisor alone."""
    beat = {"pid": 1, "started_ms": 1, "at_ms": 2, "restarts": {"strategy.mine:app": 4}}
    await bench.redis.hset(bench.keys.roles, "supervisor", orjson.dumps(beat).decode())
    [one] = shell("status", "--json").json["accounts"]
    shown = next(role for role in one["roles"] if role["role"] == "strategy.mine:app")
    assert (shown["restarts"], shown["stale"], shown["age_ms"]) == (4, True, None)
    assert "strategy.mine:app (STALE) 4 never" in words(shell("status").out)


@pytest.mark.usefixtures("bench")
async def test_watch_ends_with_ctrl_c_without_a_trace(shell):
    """`status --watch` shows the account again and again until SIGINT, then exits 130 and says nothing more."""
    with shell.started("status", "--watch") as watching:
        wait_until(lambda: shell.written("status").count("gate") > 1 or watching.poll() is not None)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
    assert "Traceback" not in shell.written("status")


async def test_a_stopped_order_shows_its_reason(bench, shell, account):
    """What the venue said of an order's end stands beside it."""
    _, claim = await bench.claimed(place(account))
    await bench.say(status(7, claim.order.client_order_id, "EXPIRED", r="INSUFFICIENT_LIQUIDITY"), form=STREAM_FORMAT)
    await fold(bench)
    assert "INSUFFICIENT_LIQUIDITY" in shell("orders").out
