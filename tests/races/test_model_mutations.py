"""The state machine can fail: for each check of a script there are steps of its own that end badly without it.

A program is a list of rules as hypothesis prints them. Each runs twice: with the scripts as they are, and with one
check taken out.
"""

from typing import Any, Final

import pytest

from tests.races.mutants import Mutation, script
from tests.races.test_state_machine import Protocol

Program = list[tuple[str, dict[str, Any]]]

NOT_SENT: Final = {"outcome": 0, "reached": False, "twice": False}
ACCEPTED: Final = {"outcome": 0, "reached": True, "twice": False}
NO_ANSWER: Final = {"outcome": 2, "reached": True, "twice": False}


def begin(*depths: int) -> Program:
    """How far each order is: 0 nothing, 1 read by a gateway, 2 claimed, 3 settled, 4 executed and told."""
    return [("begin", {"depths": depths})]


def settle(outcome: dict[str, Any], number: int = 0) -> Program:
    """A gateway settles what came of a claim."""
    return [("settle", {"number": number, **outcome})]


def claim(number: int = 0, *, closed: bool = False) -> Program:
    """A gateway claims an entry."""
    return [("claim", {"number": number, "closed": closed})]


def fold(number: int) -> Program:
    """A ledger stands still before it writes."""
    return [("fold", {"number": number})]


def write(number: int = 0) -> Program:
    """One of the ledgers that stand still goes on."""
    return [("write", {"number": number})]


def say(number: int, how: str) -> Program:
    """The venue tells of the first order: of the execution that `number` chooses, or by a report."""
    return [("say", {"number": number, "how": how, "times": 1})]


def fill(count: int) -> Program:
    """The venue executes some of the first order."""
    return [("fill", {"number": 0, "count": count})]


READ: Program = [("read", {"consumer": "gateway.0"})]
KEEP: Program = [("keep", {})]
LOSE: Program = [("lose", {"early": []})]
COMMIT: Program = [("commit", {})]
LIST: Program = [("list_due", {})]
SWEEP: Program = [("sweep_listed", {})]
PUBLISH: Program = [("publish", {"order": 0})]
CANCEL: Program = [("cancel", {"order": 0})]
SENT_WITHOUT_AN_ANSWER: Program = [*begin(2, 0, 0), *settle(NO_ANSWER)]

AN_ANSWER_TO_A_LOST_CLAIM = [
    *begin(1, 0, 0), *KEEP, *claim(), *settle(NOT_SENT), *fold(0), *LOSE, *READ, *claim(), *write(), *READ, *claim(),
]  # fmt: skip
A_REPORT_FROM_BEFORE_A_FILL = [
    *begin(4, 0, 0), *COMMIT, *fill(2), *say(0, "report"), *fold(0), *say(3, "trade"), *COMMIT, *write(),
]  # fmt: skip
TWO_ALIKE_FROM_ONE_STATE = [
    *begin(4, 0, 0), *COMMIT, *fill(2), *say(6, "trade"), *say(3, "trade"), *fold(0), *fold(1), *write(), *write(),
]  # fmt: skip
A_PARKING_AFTER_THE_ORDER_WAS_NAMED = [
    *SENT_WITHOUT_AN_ANSWER, *COMMIT, *fill(1), *say(0, "trade"), *fold(0), *say(0, "report"), *COMMIT, *write(),
]  # fmt: skip
A_NAMING_BEFORE_A_PARKING = [
    *SENT_WITHOUT_AN_ANSWER, *COMMIT, *fill(1),
    *say(0, "report"), *fold(0), *say(0, "trade"), *fold(1), *write(1), *write(),
]  # fmt: skip
PUBLISHED_BEFORE_THE_IMPORT: Program = [
    *begin(0, 0, 0), *KEEP, *PUBLISH, *READ, *claim(), *settle(ACCEPTED), ("lose", {"early": [0]}), *READ, *claim(),
]  # fmt: skip
ENDED_SINCE_IT_WAS_LISTED = [*PUBLISH, *LIST, *CANCEL, *READ, *claim(1), *SWEEP]

CASES: dict[str, tuple[Program, Mutation]] = {
    "import takes an intent that came before it for an order of its own": (
        PUBLISHED_BEFORE_THE_IMPORT,
        script("import", "known[1] ~= 'created' and ", ""),
    ),
    "commit accepts any token": (
        AN_ANSWER_TO_A_LOST_CLAIM,
        script("commit", " or (known[2] or '') ~= orders[at + 4]", ""),
    ),
    "commit accepts any digest": (
        A_REPORT_FROM_BEFORE_A_FILL,
        script("commit", "known[3] ~= digest or known[1] ~= orders[at + 3]", "known[1] ~= orders[at + 3]"),
    ),
    "commit does not check execution fields": (
        TWO_ALIKE_FROM_ONE_STATE,
        script("commit", " and found == #executions", ""),
    ),
    "commit does not check the parked set": (
        A_NAMING_BEFORE_A_PARKING,
        script("commit", "~= mapping[3] then return 0 end", "~= mapping[3] then return 1 end"),
    ),
    "park does not check the mapping": (
        A_PARKING_AFTER_THE_ORDER_WAS_NAMED,
        script("park", "local whose = redis.call('GET', venue_order)", "local whose = false"),
    ),
    "sweep ignores its score": (
        ENDED_SINCE_IT_WAS_LISTED,
        script("sweep", "if not redis.call('ZSCORE', live, id) then return {'kept'} end", ""),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
def test_the_model_and_the_server_disagree_as_soon_as_a_check_is_missing(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, name: str, broken: bool
) -> None:
    """The same steps: clean with the scripts as they are, an assertion of the model without the check."""
    program, mutation = CASES[name]
    if broken:
        mutation(monkeypatch)
    if not broken:
        play(redis_url, program)
        return
    with pytest.raises(AssertionError):
        play(redis_url, program)


def play(redis_url: str, program: Program) -> None:
    """Run a program on the state machine, with what it checks after every step and at its end."""

    class Here(Protocol):
        pass

    Here.redis_url = redis_url
    machine = Here()
    try:
        for rule, arguments in program:
            getattr(machine, rule)(**arguments)
            machine.one_order_each()
        machine.come_to_its_end()
    finally:
        machine.close()
