"""Strategies that misbehave, each in its process: the others go on, and `status` says who does what."""

import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Shell, words
from tests.support import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

START_S = 60.0
RAISES = """
from streams import OrderChanged, Strategy

app = Strategy("raises")


@app.on(OrderChanged)
async def never(_: OrderChanged) -> None:
    raise ValueError("no idea what to do")
"""
BLOCKS = """
import threading

from streams import OrderChanged, Strategy

app = Strategy("blocks")


@app.on(OrderChanged)
async def stand_still(_: OrderChanged) -> None:
    threading.Event().wait()
"""
FLOODS = """
from datetime import UTC, datetime
from decimal import Decimal

from streams import Intents, Place, Snapshot, Strategy

app = Strategy("floods")
BEGAN = datetime.now(UTC)


@app.on(Snapshot)
async def everything_at_once(snapshot: Snapshot, intents: Intents) -> None:
    for start in range(0, 1_000_000, 500):
        await intents.publish([
            Place(
                account=snapshot.account, strategy=app.name, signal_id=f"s{number}", signal_time=BEGAN,
                symbol="BTC/USDT", side="buy", type="limit", quantity=Decimal("0.001"), price=Decimal(30_000),
            )
            for number in range(start, start + 500)
        ])
"""
DIES = """
from streams import Snapshot, Strategy

app = Strategy("dies")


@app.on(Snapshot)
async def begin(_: Snapshot) -> None:
    raise ValueError("cannot begin")
"""


# What a strategy may have open is its own, so a flood leaves room at the venue; and so much a second is a flood here.
SETTINGS = """
strategy_intents_per_second_max = 20

[accounts."binance.main"]
symbols = ["BTC/USDT"]
limits = { open_orders_strategy_max = 20 }
"""


def test_one_that_raises_blocks_floods_or_dies_disturbs_nobody_and_is_visible(tmp_path: Path) -> None:
    """A strategy in order has its fill answered beside all four of them; each of them is seen for what it does."""
    shell = Shell(tmp_path)
    assert shell("new", "strategy", "good").code == 0
    bad = {"raises": RAISES, "blocks": BLOCKS, "floods": FLOODS, "dies": DIES}
    for name, text in bad.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "fillonce.toml").write_text(SETTINGS)
    strategies = [word for name in (*bad, "good") for word in ("--strategy", f"{name}:app")]

    def account() -> dict[str, Any]:
        said = shell("status", "--json")
        found: list[dict[str, Any]] = said.json["accounts"] if said.code == 0 else []
        return found[0] if found else {"roles": [], "quarantined": {"last": []}}

    def role(name: str) -> dict[str, Any]:
        told: dict[str, Any] = next(
            (one for one in account()["roles"] if one["role"] == f"strategy.{name}:app"),
            {"figures": {}, "stale": False, "restarts": 0},
        )
        return told

    def buy(strategy: str) -> bool:
        return shell(
            "publish", "--account", "binance.main", "--strategy", strategy, "--signal-id", "first",
            "--signal-time", "now", "--symbol", "BTC/USDT", "--side", "buy", "--type", "market", "--quantity", "0.001",
        ).code == 0  # fmt: skip

    def begun(strategy: str) -> bool:
        return bool(role(strategy)["figures"].get("snapshots", 0) > 0)

    def offered() -> bool:
        listed = shell("orders", "--json", "--limit", "100000").json["orders"]
        sold = [one for one in listed if (one["strategy"], one["side"]) == ("good", "sell")]
        return any(one["status"] in {"open", "filled"} for one in sold)  # at the market's pleasure

    with shell.started("run", "--simulated", *strategies) as process:
        wait_until(lambda: role("floods")["figures"].get("held_back", 0) > 0, START_S)
        for name in ("raises", "blocks", "good"):
            wait_until(partial(begun, name), START_S)
            wait_until(partial(buy, name), START_S)
        wait_until(offered, START_S)
        wait_until(lambda: role("raises")["figures"]["quarantined"] > 0, START_S)
        wait_until(lambda: role("blocks")["stale"], START_S)
        wait_until(lambda: role("dies")["restarts"] > 0, START_S)
        assert any("no idea what to do" in one["reason"] for one in account()["quarantined"]["last"])
        shown = words(shell("status").out)
        assert "strategy.blocks:app (STALE)" in shown
        assert "ValueError: no idea what to do" in shown
        assert "held_back" in shown
        assert not role("good")["stale"]
        assert role("good")["figures"]["quarantined"] == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "strategy.blocks:app did not stop within" in shell.written("run")
