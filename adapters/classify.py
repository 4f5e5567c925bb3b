"""What an answer to a command proves. Pure: a status, headers and a body in, an outcome out.

A command is refused only when the venue's own code, and where one code means several things its sentence
too, stands on that venue's list of answers that prove it had no effect. What is on no list is `Unknown`:
the order may be live, and a look-up decides. Exception classes decide nothing here; the one thing taken
from the transport is whether a byte had left.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, assert_never

import msgspec
from msgspec import Struct

from streams.budget import Reading
from streams.schemas import Accepted, Duplicate, NotSent, Outcome, Refused, Throttled, Unknown

RETRY_AFTER_MS_DEFAULT = 5_000
RETRY_AFTER_MS_MAX = 3 * 24 * 3_600_000  # the longest ban a venue announces; asking earlier lengthens it
REASON_LENGTH_MAX = 200
BODY_BYTES_MAX = 1 << 20  # of an answer to a command

_SECRET = re.compile(r"(signature|api-?_?key|secret|x-mbx-apikey)(\W{1,4})[^\s&,;'\"]+", re.IGNORECASE)

Verdict = Literal["refused", "duplicate", "throttled", "not_sent"]


class Response(Struct, frozen=True):
    """What came back over HTTP.

    Attributes:
        status: HTTP status.
        headers: as they came; names in any case.
        body: as it came, possibly cut or empty.
        usage: what it says of request budgets beside its headers.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    usage: tuple[Reading, ...] = ()


class Failure(Struct, frozen=True):
    """No response: the connection, a deadline, or a fault on our side.

    Attributes:
        sent: whether a byte of the request may have left.
        reason: short, without addresses or keys.
    """

    sent: bool
    reason: str


class Rule(Struct, frozen=True):
    """One native code and what it proves.

    Attributes:
        code: the venue's own, as text.
        verdict: what follows from it.
        message: pattern the sentence must contain; empty when the code alone is proof.
    """

    code: str
    verdict: Verdict
    message: str = ""


class Table(Struct, frozen=True):
    """How one venue answers one kind of command.

    Attributes:
        rules: the first that fits counts, so an exception to a code stands above it.
        error: reads (code, sentence) from an error body, None when it is not one.
        accepted: says what a success's body (with our id) lacks to show the order; empty when it does show it.
        statuses: HTTP statuses at which `rules` are proof; at others the body is not trusted.
        throttled_statuses: HTTP statuses that alone mean the command was not processed.
    """

    rules: Sequence[Rule]
    error: Callable[[bytes], tuple[str, str] | None]
    accepted: Callable[[bytes, str], str]
    statuses: frozenset[int] = frozenset(range(400, 500))
    throttled_statuses: frozenset[int] = frozenset({418, 429})


def classify(table: Table, answer: Response | Failure, client_order_id: str) -> Outcome:
    """Say what `answer` proves about the command it answers.

    Args:
        table: of the venue and the kind of command.
        answer: response or failure.
        client_order_id: of the order the command is about; a success must name it.

    Returns:
        The outcome; never `Absent`, and never an exception, whatever the bytes are.
    """
    if isinstance(answer, Failure):
        return Unknown(clean(answer.reason)) if answer.sent else NotSent(clean(answer.reason))
    if answer.status in table.throttled_statuses:
        return Throttled(retry_after_ms(answer.headers))
    if len(answer.body) > BODY_BYTES_MAX:
        return Unknown(f"HTTP {answer.status} with a body of {len(answer.body)} bytes")
    try:
        return _read(table, answer, client_order_id)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        return Unknown(f"HTTP {answer.status} with a body that cannot be read ({type(fault).__name__})")


def retry_after_ms(headers: Mapping[str, str]) -> int:
    """Read Retry-After (whole seconds); a default where it is absent or no number, and never above a bound."""
    for name, value in headers.items():
        if name.lower() == "retry-after" and re.fullmatch(r"[0-9]{1,9}", value.strip()):
            return min(int(value) * 1000, RETRY_AFTER_MS_MAX)
    return RETRY_AFTER_MS_DEFAULT


def clean(words: str) -> str:
    """Make a sentence fit for a log: no address, no key, no signature, one line, of bounded length."""
    words = re.sub(r"[a-z]+://\S+", "(address)", words[: 10 * REASON_LENGTH_MAX], flags=re.IGNORECASE)
    words = re.sub(_SECRET, r"\1\2(hidden)", words)
    words = re.sub(r"[A-Za-z0-9+/_=-]{40,}", "(hidden)", words)
    return "".join(sign if sign.isprintable() else " " for sign in words).strip()[:REASON_LENGTH_MAX]


def _read(table: Table, answer: Response, client_order_id: str) -> Outcome:
    if answer.status == 200:
        missing = table.accepted(answer.body, client_order_id)
        return Unknown(f"HTTP 200 {missing}") if missing else Accepted()
    error = table.error(answer.body)
    if error is None:
        return Unknown(f"HTTP {answer.status} without a code of the venue")
    code, message = error
    if answer.status not in table.statuses:
        return Unknown(clean(f"HTTP {answer.status}, code {code}: {message}"))
    for rule in table.rules:
        if rule.code == code and re.search(rule.message, message[: 10 * REASON_LENGTH_MAX]):
            return _apply(rule.verdict, code, message, answer.headers)
    return Unknown(clean(f"code {code} proves nothing: {message}"))


def _apply(verdict: Verdict, code: str, message: str, headers: Mapping[str, str]) -> Outcome:
    match verdict:
        case "refused":
            return Refused(code, clean(message))
        case "duplicate":
            return Duplicate(code)
        case "throttled":
            return Throttled(retry_after_ms(headers))
        case "not_sent":
            return NotSent(clean(f"the venue refused it as outside of its window ({code})"))
        case _:
            assert_never(verdict)
