"""What became of a unified call, and what its rows say. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from adapters.binance.payloads import RAW_BYTES_MAX
from adapters.ccxt_unified import Performed
from adapters.classify import Failure, clean, retry_after_ms
from adapters.generic.payloads import told_name
from adapters.venue import Answer, CouldNotAsk
from streams.schemas import NotSent, Order, Refused, Unknown

Row = Mapping[str, Any]
ALTERED = "ccxt would send the order"
# What exchanges answer who asks too often, and what ccxt calls it where the status tells nothing (Kraken's is 200).
_TOO_OFTEN_STATUSES = (418, 429)
_TOO_OFTEN = frozenset({"RateLimitExceeded", "DDoSProtection"})


def at_ms(row: Row) -> int:
    """Read when a row happened; 0 where it does not tell."""
    told = row.get("timestamp")
    return told if isinstance(told, int) else 0


def failed(done: Performed, failure: Failure, sent_at_ms: int) -> Answer:
    """Say what follows from a command that gave no value: refused or not sent only where no byte of it left."""
    if failure.sent:
        return doubt(done, failure.reason, sent_at_ms)
    if done.told and "OperationFailed" not in done.errors:
        return Answer(Refused("unsupported", clean(done.told)))
    if failure.reason.startswith(ALTERED):
        return Answer(Refused("unsupported", failure.reason))
    return Answer(NotSent(clean(failure.reason)))


def doubt(done: Performed, reason: str, sent_at_ms: int) -> Answer:
    """Say that nobody can tell, and keep what came."""
    return Answer(Unknown(clean(reason)), raw=_body(done), sent_at_ms=sent_at_ms)


def why(done: Performed) -> str:
    """Say why a question has no answer, without addresses or keys."""
    reason = "no order in the answer" if done.failure is None else done.failure.reason
    return clean(f"HTTP {done.response.status}: {reason}" if done.response is not None else reason)


def wait_ms(done: Performed) -> int:
    """For how long the exchange wants no further request, by its Retry-After where it has one; 0 where it wants any."""
    status = done.response.status if done.response is not None else 0
    if done.failure is None or not (status in _TOO_OFTEN_STATUSES or done.errors & _TOO_OFTEN):
        return 0
    return retry_after_ms(done.response.headers if done.response is not None else {})


def _body(done: Performed) -> bytes:
    return done.response.body[:RAW_BYTES_MAX] if done.response is not None else b""


def rows_of(rows: Any) -> list[Row]:
    """Take a list of ccxt's; raises CouldNotAsk when it is none."""
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise CouldNotAsk("the exchange's list is none")
    return rows


def by_time(rows: Sequence[Row]) -> list[Row]:
    """Sort, oldest first."""
    return sorted(rows, key=at_ms)


def last_id(order: Order) -> str:
    """Give the exchange's id of an order, empty while nobody told it."""
    return order.state.venue_order_ids[-1] if order.state.venue_order_ids else ""


def symbol_of(order: Order) -> str:
    """Give an order's symbol, empty for a tombstone."""
    return order.terms.symbol if order.terms is not None else ""


def strange(row: Row, order: Order) -> str:
    """Say what of an answer is not of the order that was asked for; empty when it is that one."""
    told = told_name(row)
    if told and told != order.client_order_id:
        return "another client order id"
    terms = order.terms
    if terms is None or row.get("symbol") not in (None, terms.symbol):
        return "another symbol"
    if told:
        return ""
    # An answer that does not name it must have its terms, all of them.
    wanted: list[tuple[str, object, object]] = [("side", row.get("side"), terms.side)]
    wanted.append(("amount", _number(row.get("amount")), order.quantity))
    if terms.type == "limit":
        wanted.append(("price", _number(row.get("price")), order.price))
    return next((f"another {what}" for what, there, here in wanted if there != here), "")


def _number(told: object) -> Decimal | None:
    try:
        return None if told is None else Decimal(str(told))
    except ArithmeticError:
        return None
