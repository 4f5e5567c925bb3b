"""Several orders in one request: what is asked, and which part of the answer speaks of which order. Pure.

`POST` and `DELETE /fapi/v1/batchOrders`: the legs are worked on side by side and answered in the order they were given,
with an order or with `{"code", "msg"}` each, under HTTP 200. A refusal of the whole request is one of every leg.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from adapters.binance.requests import Params
from adapters.classify import BODY_BYTES_MAX, Failure, Response
from adapters.venue import Window


class _Leg(Struct, frozen=True, rename="camel"):
    order_id: int | None = None
    code: int | None = None
    client_order_id: str | None = None


_LEGS = msgspec.json.Decoder(list[Raw])
_LEG = msgspec.json.Decoder(_Leg)


def places(legs: Sequence[Params]) -> Mapping[str, Any]:
    """Ask for several new orders."""
    return {"batchOrders": [dict(leg) for leg in legs]}


def cancels(legs: Sequence[Params]) -> Mapping[str, Any]:
    """Ask to cancel several orders of one symbol by our names.

    Raises:
        ValueError: they are of several symbols.
    """
    [symbol] = {leg["symbol"] for leg in legs}
    return {"symbol": symbol, "origClientOrderIdList": [leg["origClientOrderId"] for leg in legs]}


def earliest(windows: Sequence[Window]) -> Window:
    """Give the window of a request that several claims go by: what one of them may not, none does."""
    return Window(min(one.opened_at_ms for one in windows), min(one.send_by_ms for one in windows))


def legs(answer: Response | Failure, names: Sequence[str]) -> Sequence[Response | Failure]:
    """Take an answer apart; what cannot be taken apart speaks of every leg as it is, and proves nothing but a refusal.

    Args:
        answer: to the whole request.
        names: the orders' names at the venue, in the order in which they were asked for.

    Returns:
        For each leg what it would have been answered by itself.
    """
    parts = None if isinstance(answer, Failure) or answer.status != 200 else _parts(answer.body, len(names))
    if parts is None or isinstance(answer, Failure):
        # HTTP 200 with a body that holds no orders is that for every leg: its classification finds it out.
        return [answer] * len(names)
    told = [Response(_status(part), answer.headers, part) for part in parts]
    if all(_LEG.decode(part).client_order_id in (None, name) for part, name in zip(parts, names, strict=True)):
        return told
    # One leg shows the order of another: then nobody can tell of which order a refusal without a name speaks.
    doubt = Failure(sent=True, reason="the legs of the answer are not in the order of the request")
    return [one if one.status == 200 else doubt for one in told]


def _parts(body: bytes, count: int) -> list[bytes] | None:
    if len(body) > BODY_BYTES_MAX:
        return None
    try:
        found = [bytes(part) for part in _LEGS.decode(body)]
        return found if len(found) == count and [_status(part) for part in found] else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _status(part: bytes) -> int:
    """Say which status a leg would have had by itself: 400 where it is an error and shows no order."""
    leg = _LEG.decode(part)
    return 400 if leg.code is not None and leg.order_id is None else 200
