"""Pure: how unkind the venue is. Rates by kind, a seeded decision for the n-th thing that can go wrong, and a tally.

A decision depends on seed, place and number only: a run can be repeated, and one fault does not shift the others.
"""

from collections import Counter
from enum import Enum
from hashlib import blake2b
from typing import Annotated

import msgspec

Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]

_LOOKUP_SHARE = 0.1


class Kind(Enum):
    """What can go wrong; the value is the name in settings and tallies."""

    ACCEPT_THEN_DROP = "accept_then_drop"
    LATE_ANSWER = "late_answer"
    CUT_BODY = "cut_body"
    SERVER_ERROR = "server_error"
    THROTTLED = "throttled"
    EXECUTION_BEFORE_ANSWER = "execution_before_answer"
    LATE_ENTRY = "late_entry"
    LOOKUP_LAG = "lookup_lag"
    DUPLICATED_EXECUTION = "duplicated_execution"
    REORDERED_EXECUTION = "reordered_execution"
    DELAYED_EXECUTION = "delayed_execution"
    STREAM_CUT = "stream_cut"


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rate per kind (share of the requests, orders or frames it may happen to) and the times they need.

    Order requests (place and cancel) meet one of:
        accept_then_drop: done, then the connection is closed without an answer.
        late_answer: done, and answered only after `late_answer_ms`.
        cut_body: done, and answered with HTTP 200 and half of the JSON.
        server_error: HTTP 5xx or 408; done or not done, nobody can tell.
        throttled: HTTP 429 with Retry-After; not done.
        execution_before_answer: done, reported on the stream, and answered `answer_hold_ms` later.
        late_entry: waits `late_entry_ms` before the matching engine, which refuses it only if its window has passed.
    Orders: lookup_lag hides an order and its fills from look-ups for `lookup_lag_ms`.
    Execution reports: duplicated (sent twice), reordered (after the next one, `reorder_hold_ms` later at most),
        delayed (by `delayed_execution_ms`), stream_cut (this report and the connection are lost, nothing is replayed).
    Signed look-ups meet server_error and late_answer at a tenth of their rates.
    """

    accept_then_drop: Rate = 0.0
    late_answer: Rate = 0.0
    cut_body: Rate = 0.0
    server_error: Rate = 0.0
    throttled: Rate = 0.0
    execution_before_answer: Rate = 0.0
    late_entry: Rate = 0.0
    lookup_lag: Rate = 0.0
    duplicated_execution: Rate = 0.0
    reordered_execution: Rate = 0.0
    delayed_execution: Rate = 0.0
    stream_cut: Rate = 0.0
    late_answer_ms: Milliseconds = 2500
    answer_hold_ms: Milliseconds = 25
    late_entry_ms: Milliseconds = 300
    lookup_lag_ms: Milliseconds = 200
    reorder_hold_ms: Milliseconds = 50
    delayed_execution_ms: Milliseconds = 250


OFF = Faults()
DEFAULT = Faults(
    accept_then_drop=0.015,
    late_answer=0.01,
    cut_body=0.01,
    server_error=0.015,
    throttled=0.01,
    execution_before_answer=0.02,
    late_entry=0.01,
    lookup_lag=1.0,
    duplicated_execution=0.02,
    reordered_execution=0.02,
    delayed_execution=0.02,
    stream_cut=0.003,
)

ORDER_KINDS = (
    Kind.ACCEPT_THEN_DROP,
    Kind.LATE_ANSWER,
    Kind.CUT_BODY,
    Kind.SERVER_ERROR,
    Kind.THROTTLED,
    Kind.EXECUTION_BEFORE_ANSWER,
    Kind.LATE_ENTRY,
)
LOOKUP_KINDS = (Kind.SERVER_ERROR, Kind.LATE_ANSWER)
FRAME_KINDS = (Kind.STREAM_CUT, Kind.DUPLICATED_EXECUTION, Kind.REORDERED_EXECUTION, Kind.DELAYED_EXECUTION)


class Broken(msgspec.Struct, frozen=True):
    """How a server error looks and whether the request was done all the same."""

    status: int
    body: bytes
    done: bool

    @property
    def content_type(self) -> str:
        """Of the body: a load balancer answers in HTML, the venue in JSON."""
        return "text/html" if self.body.startswith(b"<") else "application/json"


_UNKNOWN = "Send status unknown; execution status unknown."


def _error(code: int, msg: str) -> bytes:
    return msgspec.json.encode({"code": code, "msg": msg})


# Two pages of a load balancer, then the codes Binance documents with an unknown outcome.
_BROKEN: tuple[tuple[int, bytes], ...] = (
    (502, b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>\r\n"),
    (503, b"<html><body><b>Http/1.1 Service Unavailable</b></body> </html>"),
    (503, _error(-1001, "Internal error; unable to process your request. Please try again.")),
    (503, _error(-1006, "An unexpected response was received from the message bus. Execution status unknown.")),
    (408, _error(-1007, "Timeout waiting for response from backend server. " + _UNKNOWN)),
)


class Dice:
    """The seeded source of all decisions, with a counter per place and a tally per kind.

    Attributes:
        faults: the rates in force; may be replaced at any time.
        tally: how often each kind happened so far, look-ups counted as `lookup_` and the kind.
    """

    def __init__(self, seed: int, faults: Faults) -> None:
        self.faults = faults
        self.tally: Counter[str] = Counter()
        self._seed = seed
        self._numbers: Counter[str] = Counter()

    def order(self) -> Kind | None:
        """What happens to the next place or cancel request."""
        return self._draw("order", ORDER_KINDS)

    def lookup(self) -> Kind | None:
        """What happens to the next signed look-up."""
        kind = choose(self.faults, LOOKUP_KINDS, self._roll("lookup"), _LOOKUP_SHARE)
        if kind is not None:
            self.tally[f"lookup_{kind.value}"] += 1
        return kind

    def frame(self, account: str) -> Kind | None:
        """What happens to the next execution report of an account."""
        return self._draw(f"frame:{account}", FRAME_KINDS)

    def lag_ms(self) -> int:
        """How long look-ups do not show the next order and its fills, in milliseconds. `lagged` tallies it."""
        lags = choose(self.faults, (Kind.LOOKUP_LAG,), self._roll("lag"))
        return self.faults.lookup_lag_ms if lags else 0

    def lagged(self, lag_ms: int) -> None:
        """Tally an accepted order that look-ups do not show yet."""
        self.tally[Kind.LOOKUP_LAG.value] += lag_ms > 0

    def broken(self) -> Broken:
        """How the next server error looks, and whether the order was done: about half are."""
        number = int(self._roll("broken") * 2 * len(_BROKEN))
        status, body = _BROKEN[number // 2]
        return Broken(status, body, done=number % 2 == 1)

    def cut(self, length: int) -> int:
        """How many bytes of the next cut body are sent, always fewer than it has."""
        return int(self._roll("cut") * length)

    def counts(self) -> dict[str, int]:
        """The tally with every kind in it, also those that never happened."""
        return {kind.value: self.tally[kind.value] for kind in Kind} | dict(self.tally)

    def _draw(self, place: str, kinds: tuple[Kind, ...]) -> Kind | None:
        kind = choose(self.faults, kinds, self._roll(place))
        if kind is not None:
            self.tally[kind.value] += 1
        return kind

    def _roll(self, place: str) -> float:
        self._numbers[place] += 1
        return roll(self._seed, place, self._numbers[place])


def roll(seed: int, place: str, number: int) -> float:
    """A number in [0, 1) that only seed, place and number decide."""
    digest = blake2b(f"{seed}:{place}:{number}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def choose(faults: Faults, kinds: tuple[Kind, ...], chance: float, share: float = 1.0) -> Kind | None:
    """The kind that a number in [0, 1) falls on when the rates, times `share`, are laid side by side; at most one."""
    edge = 0.0
    for kind in kinds:
        edge += getattr(faults, kind.value) * share
        if chance < edge:
            return kind
    return None
