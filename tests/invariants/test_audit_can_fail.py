"""The audit is worth something: a pipeline that was broken on purpose does not pass it."""

import os
from pathlib import Path

import pytest

from consumers.demo import orchestrate
from consumers.demo.orchestrate import Options

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# A module of that name is imported by every Python process before anything else: the way into the role processes.
_HEADER = """
import importlib.abc, importlib.util, sys

class Break(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            change(module)
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Break())
"""
_FORGETFUL = """
MODULE = "adapters.binance.decode"

def change(module):
    import secrets
    from msgspec.structs import replace
    from streams.schemas import Execution
    real = module.decode
    def again(fact):
        return replace(fact, trade_id=fact.trade_id + secrets.token_hex(4)) if isinstance(fact, Execution) else fact
    module.decode = lambda form, raw: [again(fact) for fact in real(form, raw)]
"""
_NAMELESS = """
MODULE = "streams.identity"

def change(module):
    import secrets
    real = module._digest
    module._digest = lambda parts: secrets.token_bytes(16) if parts[0] == "order" else real(parts)
"""


async def _run(monkeypatch: pytest.MonkeyPatch, folder: Path, broken: str) -> orchestrate.Result:
    (folder / "sitecustomize.py").write_text(broken + _HEADER)
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *([known] if known else [])]))
    monkeypatch.setattr(orchestrate, "CALM_S", 8)
    return await orchestrate.run(Options(intents=100, seed=3, faults="off"), lambda _: None)


async def test_a_ledger_that_takes_every_copy_for_another_execution_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Answers and stream frames are both counted, and the audit says so."""
    result = await _run(monkeypatch, tmp_path, _FORGETFUL)
    assert result.audit.position_mismatches > 0
    assert not result.good


async def test_client_order_ids_made_by_chance_are_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both copies of every signal become an order, and the audit counts intents with more than one."""
    result = await _run(monkeypatch, tmp_path, _NAMELESS)
    assert result.audit.intents_with_more_than_one_order > 0
    assert not result.good
