"""The plugin as a user has it: a fresh folder, a new strategy, its test, all of it by commands."""

import asyncio
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from streams import Fill, Mark, OrderChanged, Place, PositionChanged, Snapshot, Strategy
from streams.schemas import TERMINAL, from_ms
from tests.commands import Shell, environment


def hedger() -> Strategy:
    """Sells what it bought, at the market; it stumbles over every event once, after it has published."""
    app = Strategy("hedger")
    stumbled: set[str] = set()

    @app.on(Fill)
    async def hedge(fill: Fill) -> Place | None:
        if fill.side == "sell":
            return None
        exit_ = Place(
            account=fill.account, strategy=app.name, signal_id=f"exit-{fill.event_id}",
            signal_time=from_ms(fill.executed_at_ms), symbol=fill.symbol, side="sell", type="market",
            quantity=fill.quantity, rounding="down",
        )  # fmt: skip
        if fill.event_id not in stumbled:
            stumbled.add(fill.event_id)
            await app.intents.publish(exit_)
            raise ValueError("after it published")
        return exit_

    return app


@pytest.mark.timeout(120)
@pytest.mark.fillonce(faults={"accept_then_drop": 0.3, "duplicated_execution": 0.5, "execution_before_answer": 0.3})
def test_every_fill_is_answered_once_whatever_the_venue_and_the_handler_do(fillonce) -> None:
    """Faults on the way out and back, a handler that raises, a kill in the middle: one exit per entry, no more."""
    app = hedger()
    fillonce.run(app)
    fillonce.house("SELL", 20, price=60_000)
    fillonce.house("BUY", 20, price=59_000)
    for _ in range(5):
        fillonce.place(strategy="hedger", side="buy", type="limit", quantity=1, price=60_000)
    fillonce.stop(app, kill=True)
    for _ in range(5):
        fillonce.place(strategy="hedger", side="buy", type="limit", quantity=1, price=60_000)
    fillonce.run(app)
    fillonce.until(lambda: len(fillonce.orders("hedger")) == 20, timeout_s=60)
    fillonce.settled(60)
    assert {order.status for order in fillonce.orders("hedger")} == {"filled"}
    assert len(fillonce.venue_orders()) == 20
    assert fillonce.quarantined() == []


@pytest.mark.timeout(120)
def test_a_handler_that_always_raises_is_seen_in_quarantine(fillonce) -> None:
    """With what it said."""
    app = Strategy("broken")

    @app.on(OrderChanged)
    async def never(_: OrderChanged) -> None:
        raise ValueError("no idea")

    fillonce.run(app)
    fillonce.place(strategy="broken", side="buy", type="limit", quantity=1, price=100)
    fillonce.until(lambda: any("no idea" in reason for reason in fillonce.quarantined()))


@pytest.mark.timeout(120)
def test_copies_of_a_strategy_hear_everything_and_what_both_answer_is_one_order(fillonce) -> None:
    """Side by side, each with a place of its own in the journal; one that dies leaves the other at work."""

    def copy(name: str) -> tuple[Strategy, list[str]]:
        app, heard = Strategy("pair", copy=name), list[str]()

        @app.on(Fill)
        async def leave(fill: Fill) -> Place | None:
            heard.append(fill.event_id)
            if fill.side == "sell":
                return None
            return Place(
                account=fill.account, strategy=app.name, signal_id=f"exit-{fill.event_id}",
                signal_time=from_ms(fill.executed_at_ms), symbol=fill.symbol, side="sell", type="limit",
                quantity=fill.quantity, price=fill.price * 2,
            )  # fmt: skip

        return app, heard

    (first, heard), (second, also) = copy("a"), copy("b")
    fillonce.run(first)
    fillonce.run(second)
    fillonce.house("SELL", 2, price=60_000)
    fillonce.place(strategy="pair", side="buy", type="limit", quantity=1, price=60_000)
    fillonce.until(lambda: len(heard) == len(also) == 1)
    fillonce.stop(first, kill=True)
    fillonce.place(strategy="pair", side="buy", type="limit", quantity=1, price=60_000)
    fillonce.until(lambda: len(also) == 2)
    fillonce.until(lambda: len(fillonce.orders("pair")) == 4)
    assert (heard, len(fillonce.venue_orders())) == (also[:1], 4)


@pytest.mark.timeout(120)
def test_reference_prices_come_after_those_of_the_snapshot_and_only_the_newest(fillonce) -> None:
    """None twice, none that was there before; a handler that is busy is told the newest of each symbol afterwards."""
    app, told = Strategy("watcher"), list[tuple[str, str]]()
    busy = threading.Event()

    @app.on(Snapshot)
    async def begin(snapshot: Snapshot) -> None:
        told.extend(("before", f"{symbol} {price}") for symbol, price in snapshot.marks.items())

    @app.on(Mark)
    async def follow(mark: Mark) -> None:
        told.append(("after", f"{mark.symbol} {mark.price}"))
        await asyncio.to_thread(busy.wait)

    fillonce.mark(100)
    fillonce.run(app)
    fillonce.mark(101)
    fillonce.until(lambda: len(told) == 2)
    for price in (102, 103):
        fillonce.mark(price)
        fillonce.mark(price, "ETH/USDT")
    busy.set()
    fillonce.until(lambda: len(told) == 4)
    assert told == [
        ("before", "BTC/USDT 100"), ("after", "BTC/USDT 101"), ("after", "BTC/USDT 103"), ("after", "ETH/USDT 103"),
    ]  # fmt: skip


class Book:
    """A strategy that keeps its own books: what the snapshot has, and then what it is told, each thing once."""

    def __init__(self) -> None:
        """As a new process has it."""
        self.app = Strategy("book")
        self.filled, self.live, self.told = dict[str, Decimal](), set[str](), set[str]()
        self.position, self.marks = Decimal(0), dict[str, Decimal]()

        @self.app.on(Snapshot)
        async def begin(snapshot: Snapshot) -> None:
            held = snapshot.positions.get("BTC/USDT")
            self.position = held.quantity if held else Decimal(0)
            self.filled = {one.client_order_id: one.state.filled for one in snapshot.orders}
            self.live, self.marks = set(self.filled), dict(snapshot.marks)

        @self.app.on(Fill)
        async def add(fill: Fill) -> None:
            if not fill.in_snapshot and fill.event_id not in self.told:
                self.told.add(fill.event_id)
                self.filled[fill.client_order_id] = self.filled.get(fill.client_order_id, Decimal(0)) + fill.quantity

        @self.app.on(OrderChanged)
        async def follow(order: OrderChanged) -> None:
            if not order.in_snapshot:
                (self.live.discard if order.status in TERMINAL else self.live.add)(order.client_order_id)

        @self.app.on(PositionChanged)
        async def hold(position: PositionChanged) -> None:
            if not position.in_snapshot:
                self.position = position.quantity


@pytest.mark.timeout(120)
@pytest.mark.fillonce(faults={"duplicated_execution": 0.5, "execution_before_answer": 0.3})
def test_a_snapshot_and_the_events_after_it_add_up_to_what_there_is(fillonce) -> None:
    """Killed and begun anew while orders are made and fill: nothing is counted twice, and nothing falls in between."""
    fillonce.house("SELL", 100, price=60_000)
    fillonce.mark(60_000)

    def trade() -> None:
        for _ in range(6):
            fillonce.place(strategy="book", side="buy", type="limit", quantity=1, price=60_000)
            fillonce.place(strategy="book", side="buy", type="limit", quantity=1, price=50_000)

    def traded(price: int) -> Decimal:
        return sum((one.state.filled for one in fillonce.orders("book") if one.terms.price == price), Decimal(0))

    for life in range(3):
        trading = threading.Thread(target=trade)
        trading.start()
        book = Book()
        fillonce.run(book.app)
        trading.join()
        fillonce.stop(book.app, kill=True)
        # What happens while it is away is in the next snapshot, and is told all the same.
        fillonce.until(lambda: {one.status for one in fillonce.orders()} <= {"open", "partially_filled", "filled"})
        fillonce.house("SELL", "0.4", price=50_000)
        fillonce.until(lambda sold=Decimal("0.4") * (life + 1): traded(50_000) == sold)
    trading = threading.Thread(target=trade)
    trading.start()
    book = Book()
    fillonce.run(book.app)
    trading.join()
    fillonce.settled(60)
    orders = {one.client_order_id: one for one in fillonce.orders("book")}
    assert len(orders) == 4 * 12
    assert book.live == {name for name, one in orders.items() if one.live}
    assert book.live <= book.filled.keys() | {name for name, one in orders.items() if not one.state.filled}
    assert {name: orders[name].state.filled for name in book.filled} == book.filled
    assert book.position == fillonce.position()
    assert book.marks == {"BTC/USDT": Decimal(60_000)}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_new_strategy_passes_its_own_test_in_a_fresh_folder(tmp_path: Path) -> None:
    """`fillonce new strategy` and `pytest`, nothing else."""
    shell = Shell(tmp_path)
    said = shell("new", "strategy", "mean_reversion", "--json")
    assert said.json["files"] == ["mean_reversion.py", "test_mean_reversion.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore::pytest.PytestDeprecationWarning"],
        cwd=tmp_path, env=environment({}), capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    again = shell("new", "strategy", "mean_reversion")
    assert (again.code, "mean_reversion.py is there already" in again.err) == (2, True)
    assert shell("new", "strategy", "mean-reversion").code == 2


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("example", ["grid", "market_maker"])
def test_a_strategy_from_an_example_passes_the_examples_test_under_its_own_name(tmp_path: Path, example: str) -> None:
    """Its orders are under that name, too."""
    said = Shell(tmp_path)("new", "strategy", "mine", "--from", example, "--json")
    assert said.json["files"] == ["mine.py", "test_mine.py"]
    assert 'orders("mine")' in (tmp_path / "test_mine.py").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore::pytest.PytestDeprecationWarning"],
        cwd=tmp_path, env=environment({}), capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_example_can_be_started_from(tmp_path: Path) -> None:
    """The webhook is a program and comes without a test; one that there is not is named with those there are."""
    shell = Shell(tmp_path)
    for example in ("twap", "chaser", "webhook"):
        said = shell("new", "strategy", f"my_{example}", "--from", example, "--json")
        assert said.json["files"][0] == f"my_{example}.py"
        compile((tmp_path / f"my_{example}.py").read_text(), example, "exec")
        assert "examples.strategies" not in "".join(one.read_text() for one in tmp_path.iterdir())
    assert not (tmp_path / "test_my_webhook.py").exists()
    assert shell("new", "strategy", "x", "--from", "nothing").code == 2
