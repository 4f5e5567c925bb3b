"""A strategy as a process: found by name, killed, restarted, and nothing of it happens twice or not at all."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumers.keyring import passphrase_variable, variables
from consumers.strategist import StrategyTask, chosen_accounts, find, without_keys
from consumers.supervise import Child, Supervisor, environment
from streams import Strategy
from streams.clock import SystemClock
from streams.errors import UsageError
from streams.keys import strategy_group
from streams.settings import AccountSettings, Settings
from tests.commands import Shell
from tests.pipeline import Pipeline

START_S = 30.0

TEN_LINES = """
from streams import Fill, Place, Strategy
from streams.schemas import from_ms

app = Strategy("follower")


@app.on(Fill)
async def leave(fill: Fill) -> Place | None:
    if fill.leg == "exit":
        return None
    return Place(account=fill.account, strategy=app.name, signal_id=fill.signal_id, leg="exit",
                 signal_time=from_ms(fill.at_ms), symbol=fill.symbol, side="sell", type="limit",
                 quantity=fill.quantity, price=2 * fill.price)
"""


def settings_for(account: str, symbol: str = "BTC/USDT", **changes: Any) -> Settings:
    """One account, nothing else."""
    return Settings(accounts={account: AccountSettings(symbols=(symbol,))}, **changes)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a module of the user's into the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def written(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    return written


def test_a_strategy_is_found_by_module_and_attribute(write: Callable[[str, str], None]) -> None:
    """In the current directory, which comes last on the path."""
    write("mine_a", 'from streams import Strategy\napp = Strategy("mine")\nclass box:\n    inner = app\n')
    assert find("mine_a:app").name == "mine"
    assert find("mine_a:box.inner").name == "mine"


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("nowhere_at_all:app", "there is no module nowhere_at_all in .* or installed"),
        ("mine_b:missing", "has no attribute 'missing'"),
        ("mine_b:number", "is a int, not a streams.Strategy"),
        ("broken_b:app", "cannot be imported: ValueError: not today"),
        ("not_installed", "No strategy not_installed: write module:attribute, or an installed one"),
    ],
)
def test_what_cannot_be_found_is_said_in_one_sentence(
    write: Callable[[str, str], None], reference: str, sentence: str
) -> None:
    """With what was looked for, and where."""
    write("mine_b", "number = 5\n")
    write("broken_b", "raise ValueError('not today')\n")
    with pytest.raises(UsageError, match=sentence):
        find(reference)


def test_an_installed_strategy_is_found_by_the_name_of_its_entry_point(write: Callable[[str, str], None]) -> None:
    """Group `fillonce.strategies`."""
    write("mine_c", 'from streams import Strategy\napp = Strategy("installed")\n')
    info = Path("mine_c-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine-c\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fillonce.strategies]\nreversion = mine_c:app\n")
    sys.path.append(str(Path.cwd()))
    assert find("reversion").name == "installed"


def test_a_strategy_trades_on_every_account_unless_it_says_where() -> None:
    """An account that is not in the settings is a mistake, said at the start."""
    settings = settings_for("sim.a")
    assert chosen_accounts(Strategy("s"), settings) == ("sim.a",)
    assert chosen_accounts(Strategy("s", accounts=["sim.a"]), settings) == ("sim.a",)
    with pytest.raises(UsageError, match=r"No account sim\.b in the settings"):
        chosen_accounts(Strategy("s", accounts=["sim.b"]), settings)
    with pytest.raises(UsageError, match="has no account to trade on"):
        chosen_accounts(Strategy("s"), Settings())


def test_a_strategys_process_is_not_given_the_venues_keys() -> None:
    """It publishes intents; it never signs. The gateways' processes have them."""
    settings = settings_for("sim.a", strategies=("mine:app",))
    key, secret = variables("sim.a")
    env = {key: "k", secret: "s", passphrase_variable("sim.a"): "p", "HOME": "/h"}
    assert without_keys(settings, env) == {"HOME": "/h"}
    supervisor = Supervisor(settings, "unix:///nowhere", env, SystemClock())
    by_role = {child.task.role: child._env for child in supervisor.children}
    assert key in by_role["gateway"]
    assert not {key, secret} & by_role["strategy"].keys()
    assert by_role["strategy"]["FILLONCE_STRATEGIES"] == "mine:app"


@pytest.fixture
async def child(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Child]:
    """The strategy of ten lines as a supervised process, beating."""
    (tmp_path / "follower.py").write_text(TEN_LINES)
    monkeypatch.chdir(tmp_path)
    settings = settings_for(pipeline.account, pipeline.symbol, log_level="error")
    env = environment(settings, pipeline.url, os.environ)
    made = Child(StrategyTask(reference="follower:app"), env, pipeline.clock)
    await made.start()
    try:
        await pipeline.until(lambda: beat(pipeline), START_S)
        yield made
    finally:
        await made.stop()


async def beat(pipeline: Pipeline) -> dict[str, Any]:
    """What the strategy's process last said of itself."""
    told: Any = await pipeline.redis.hget(pipeline.keys.roles, "strategy.follower:app")
    found: dict[str, Any] = orjson.loads(told) if told else {}
    return found


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_strategy_that_is_killed_goes_on_where_it_was(pipeline: Pipeline, child: Child) -> None:
    """Every entry is left exactly once: before the kill, while it was down, and after it came back."""
    await pipeline.all_roles(gateways=1)
    enter = [pipeline.terms(strategy="follower") for _ in range(3)]

    async def entered(number: int) -> None:
        [name] = await pipeline.place(enter[number])
        await pipeline.status(name, "open")
        await pipeline.house("SELL", 1)
        await pipeline.status(name, "filled")

    async def left(*signal_ids: str) -> bool:
        orders = await pipeline.store.all_orders()
        exits = sorted(one.terms.signal_id for one in orders if one.terms and one.terms.leg == "exit")
        return exits == sorted(signal_ids)

    await entered(0)
    await pipeline.until(lambda: left(enter[0].signal_id), START_S)
    os.kill(child.pid, signal.SIGKILL)
    await entered(1)
    await pipeline.until(lambda: child.restarts == 1, START_S)
    await pipeline.until(lambda: left(enter[0].signal_id, enter[1].signal_id), START_S)
    await entered(2)
    await pipeline.until(lambda: left(*(one.signal_id for one in enter)), START_S)

    async def read() -> bool:
        rows: Any = await pipeline.redis.xinfo_groups(pipeline.keys.events)
        return any(
            row["name"].decode() == strategy_group("follower") and not row["lag"] and not row["pending"] for row in rows
        )

    await pipeline.until(read)
    told = await beat(pipeline)
    assert (told["pid"], told["strategy"], told["quarantined"]) == (child.pid, "follower", 0)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_second_process_of_one_strategy_is_refused(pipeline: Pipeline, child: Child) -> None:
    """Both would read under one name, and each would miss what the other got."""
    env = environment(settings_for(pipeline.account, pipeline.symbol), pipeline.url, os.environ)
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", *child.task.arguments, env=env, stderr=asyncio.subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 1
    assert f"runs already (pid {child.pid})" in said.decode()


@pytest.mark.slow
def test_run_refuses_a_strategy_that_is_not_there_before_it_starts_anything(tmp_path: Path) -> None:
    """Exit code 2 and the sentence; no server was started."""
    (tmp_path / "fillonce.toml").write_text('[accounts."sim.a"]\nsymbols = ["BTC/USDT"]\n')
    said = Shell(tmp_path)("run", "--strategy", "nowhere_at_all:app")
    assert said.code == 2
    assert "there is no module nowhere_at_all" in said.err
    assert not (tmp_path / ".fillonce").exists()
    assert Shell(tmp_path)("run", "strategy").err.startswith("Say which strategy with --strategy")
