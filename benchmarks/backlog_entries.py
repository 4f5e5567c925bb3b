"""A backlog of mixed evidence, the same for the same number of entries. Pure.

Ten entries an order, sixty-four orders interleaved: a trade before anything names its order (parked), the report that
names it, an answer to its claim, two executions and each of them again, bytes that are not evidence, an order of
somebody else, a frame that says nothing about orders.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import orjson

from adapters.binance.decode import STREAM_FORMAT, TRADE_FORMAT
from streams import codec
from streams.schemas import Accepted, Command, Evidence

INTERLEAVED: Final = 64
AT_MS: Final = 1_700_000_000_000

Fields = dict[str, bytes]
_Make = Callable[[int, str], Fields]


def entries(client_order_ids: Sequence[str]) -> Iterator[Fields]:
    """Yield the fields of each entry, oldest first; `PER_ORDER` for each order."""
    for start in range(0, len(client_order_ids), INTERLEAVED):
        block = list(enumerate(client_order_ids[start : start + INTERLEAVED], start=start + 1))
        for make in _KINDS:
            for number, name in block:
                yield make(number, name)


def _parked(number: int, _: str) -> Fields:
    row = {
        "symbol": "BTCUSDT", "id": number * 10, "orderId": number, "price": "50000.00", "qty": "0.1",
        "commission": "0", "commissionAsset": "BNB", "time": AT_MS + number, "isBuyer": True, "isMaker": True,
    }  # fmt: skip
    return said(row, TRADE_FORMAT)


def _named(number: int, name: str) -> Fields:
    return said(report(number, name, x="NEW", X="NEW", t=-1, l="0", z="0", N=None), STREAM_FORMAT)


def _answered(_: int, name: str) -> Fields:
    command = Command(client_order_id=name, token="", outcome=Accepted())  # an order that was not claimed has none
    return {"data": codec.encode(Evidence(source="answer", format="", received_at_ns=1, command=command)), "raw": b""}


def _first(number: int, name: str) -> Fields:
    return said(report(number, name, t=number * 10 + 1, l="0.4", z="0.5"), STREAM_FORMAT)


def _second(number: int, name: str) -> Fields:
    return said(report(number, name, t=number * 10 + 2, l="0.5", z="1", X="FILLED"), STREAM_FORMAT)


def _garbage(number: int, _: str) -> Fields:
    return {"data": codec.encode(_evidence(STREAM_FORMAT)), "raw": b"{not json %d" % number}


def _foreign(number: int, _: str) -> Fields:
    return said(report(10**9 + number, f"web_{number}", t=10**9 + number, l="1", z="1"), STREAM_FORMAT)


def _silent(number: int, _: str) -> Fields:
    event = {"e": "outboundAccountPosition", "E": AT_MS + number, "u": AT_MS, "B": []}
    return said({"subscriptionId": 0, "event": event}, STREAM_FORMAT)


_KINDS: Final[Sequence[_Make]] = (
    _parked, _named, _first, _foreign, _first, _answered, _silent, _second, _garbage, _second,
)  # fmt: skip
PER_ORDER: Final = len(_KINDS)


def report(number: int, name: str, **changes: Any) -> dict[str, Any]:
    """Make an executionReport of Binance spot, as the ws-api wraps it: of the order `number`, ours by `name`."""
    at_ms = AT_MS + number
    event = {
        "e": "executionReport", "E": at_ms, "s": "BTCUSDT", "c": name, "S": "BUY", "o": "LIMIT", "f": "GTC",
        "q": "1", "p": "50000.00", "P": "0", "F": "0", "g": -1, "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED",
        "r": "NONE", "i": number, "l": "0", "z": "0", "L": "50000.00", "n": "0", "N": "BNB", "T": at_ms, "t": -1,
        "I": number, "w": False, "m": True, "M": True, "O": AT_MS, "Z": "0", "Y": "0", "Q": "0", "V": "NONE",
    }  # fmt: skip
    return {"subscriptionId": 0, "event": {**event, **changes}}


def said(raw: dict[str, Any], form: str) -> Fields:
    """Make an entry of `evidence` of a payload and its format."""
    return {"data": codec.encode(_evidence(form)), "raw": orjson.dumps(raw)}


def _evidence(form: str) -> Evidence:
    return Evidence(source="stream", format=form, received_at_ns=1)
