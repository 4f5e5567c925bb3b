"""What a type checker says of a user's program: mypy itself, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RIGHT = """
from datetime import UTC, datetime
from decimal import Decimal

from streams.schemas import Amend, Cancel, Place

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
place = Place(
    account="sim.main", strategy="mine", signal_id="s1", signal_time=WHEN, symbol="BTC/USDT", side="buy",
    type="market", quantity=Decimal(1),
)
amend = Amend(
    account="sim.main", strategy="mine", signal_id="s1", revision=1, signal_time=WHEN, quantity=Decimal(1),
    price=Decimal(1),
)
cancel = Cancel(account="sim.main", strategy="mine", signal_id="s1")
"""

# What a program is given by the packages beneath ours says nothing about it, and takes most of the time to read.
CONFIG = """
[mypy]
strict = True
follow_imports = silent
[mypy-redis.*,faststream.*,fast_depends.*,orjson.*,pydantic.*,anyio.*]
follow_imports = skip
"""
LEFT_OUT = {"strategy": 'strategy="mine", ', "signal_id": 'signal_id="s1", ', "signal_time": "signal_time=WHEN, "}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Errors by program, of users who have nothing of ours but the packages."""
    folder = tmp_path_factory.mktemp("mypy")
    programs = {"right": RIGHT, "of_a_float": RIGHT.replace("quantity=Decimal(1)", "quantity=0.1", 1)}
    programs |= {f"without_{name}": RIGHT.replace(text, "", 1) for name, text in LEFT_OUT.items()}
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "mypy.ini").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", folder / "cache", "--config-file",
         folder / "mypy.ini", *(folder / f"{name}.py" for name in programs)],
        cwd=folder, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    return {name: [line for line in lines if f"{name}.py:" in line] for name in programs}


def test_a_program_that_says_what_its_orders_are_has_nothing_to_complain_of(complaints: dict[str, list[str]]) -> None:
    """Place, amend and cancel, each by its identity."""
    assert complaints["right"] == []


@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_an_order_without_its_identity_does_not_pass(left_out: str, complaints: dict[str, list[str]]) -> None:
    """Whose signal, which signal, and when it was true: each must be said, there is no default."""
    [said] = complaints[f"without_{left_out}"]
    assert f'Missing named argument "{left_out}" for "Place"' in said


def test_an_amount_that_is_a_float_does_not_pass(complaints: dict[str, list[str]]) -> None:
    """Money is decimal."""
    [said] = complaints["of_a_float"]
    assert 'incompatible type "float"; expected "Decimal"' in said
