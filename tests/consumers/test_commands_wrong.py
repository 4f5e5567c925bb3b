"""What a person sees before trading goes on: one sentence for each thing that is not as it should be."""

from typing import Any

import pytest

from consumers.commands.wrong import wrong


def account(**changes: Any) -> dict[str, Any]:
    """The figures of an account in order."""
    return {
        "gate": {"open": True, "reason": "", "starting": ""},
        "stream": {"known": True, "whole": True, "reason": ""},
        "orders": {"by_status": {"open": 3}},
        "parked": {"executions": 0},
        "quarantined": {"count": 0},
        "reconciled": {"left": 0, "age_ms": 1_000},
        "roles": [{"role": "resolver.0", "stale": False, "figures": {}}],
        "ledger": {"holder": "me"},
        "switches": {},
        **changes,
    }


def test_nothing_is_said_of_an_account_in_order() -> None:
    """An account that nobody ever listened to is one, too."""
    assert wrong(account()) == []
    assert wrong(account(stream={"known": False, "whole": False, "reason": ""})) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gate": {"open": False, "reason": "why", "starting": ""}}, "the gate is shut: why"),
        ({"gate": {"open": True, "reason": "", "starting": "why"}}, "new exposure waits: why"),
        ({"stream": {"known": True, "whole": False, "reason": "cut"}}, "the private stream is lost: cut"),
        ({"orders": {"by_status": {"unknown": 2}}}, "2 orders are unknown"),
        ({"parked": {"executions": 1}}, "1 executions wait for their order"),
        ({"quarantined": {"count": 4}}, "4 entries are in quarantine"),
        ({"ledger": {"holder": ""}}, "no ledger runs"),
        ({"roles": [{"role": "gateway.0", "stale": True, "figures": {}}]}, "no word from gateway.0"),
        ({"roles": [{"role": "resolver.0", "stale": False, "figures": {"firing": "x"}}]}, "too large: x"),
        (
            {"roles": [{"role": "resolver.0", "stale": False, "figures": {"reconcile_failed": "HTTP 503"}}]},
            "venue and records cannot be compared: HTTP 503",
        ),
        ({"reconciled": {"left": 2, "age_ms": 1}}, "2 findings of the last reconciliation are left"),
        (
            {"reconciled": {"left": 0, "age_ms": 1, "not_compared": ["BTC", "USDT"]}},
            "not compared meanwhile: BTC, USDT",
        ),
        ({"reconciled": {"left": 0, "age_ms": 1, "not_compared": ["*"]}}, "not compared meanwhile: every asset"),
        ({"reconciled": {"left": 0, "age_ms": 3_600_000}}, "venue and records were last compared 60 min ago"),
        ({"reconciled": None}, "venue and records were never compared"),
        ({"switches": {"halt:global": "why"}}, "still on: halt:global (why)"),
    ],
)
def test_each_thing_that_is_wrong_has_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    """And only that one."""
    assert wrong(account(**changes)) == [sentence]
