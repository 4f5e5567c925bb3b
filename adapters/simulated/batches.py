"""Pure: several orders in one request, as `/fapi/v1/batchOrders` reads them; what it refuses as a whole."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from adapters.simulated import requests
from adapters.simulated.refusals import Refusal
from adapters.simulated.requests import Params

PLACES_MAX, CANCELS_MAX = 5, 10
WEIGHT = 5
_LEGS = msgspec.json.Decoder(list[dict[str, str]])
_NAMES = msgspec.json.Decoder(list[str])
_IDS = msgspec.json.Decoder(list[int])
_Read = TypeVar("_Read")


def places(params: Params) -> Sequence[Params]:
    """Read several new orders.

    Raises:
        Refusal: -1102, -1130 or -4082.
    """
    requests.known(params, frozenset({"batchOrders"}))
    legs: list[dict[str, str]] = _read(_LEGS, "batchOrders", requests.required(params, "batchOrders"))
    return _counted(legs, PLACES_MAX)


def cancels(params: Params) -> Sequence[Params]:
    """Read which orders of one symbol are cancelled, by their names or by their ids.

    Raises:
        Refusal: -1102, -1130 or -4082.
    """
    # Its pages write `origClientOrderIdList`, and it takes the names in any case.
    given: Mapping[str, str] = {name.lower(): value for name, value in params.items()}
    symbol = requests.required(params, "symbol")
    if "orderidlist" in given:
        ids = _read(_IDS, "orderIdList", given["orderidlist"])
        return _counted([{"symbol": symbol, "orderId": str(one)} for one in ids], CANCELS_MAX)
    names = _read(_NAMES, "origClientOrderIdList", requests.required(given, "origclientorderidlist"))
    return _counted([{"symbol": symbol, "origClientOrderId": one} for one in names], CANCELS_MAX)


def refused(refusal: Refusal) -> Mapping[str, object]:
    """Print a leg that was refused."""
    return {"code": refusal.code, "msg": refusal.msg}


def _counted(legs: Sequence[Params], most: int) -> Sequence[Params]:
    if not 0 < len(legs) <= most:
        raise Refusal(-4082, "Invalid number of batch orders.")
    return legs


def _read(decoder: msgspec.json.Decoder[_Read], name: str, text: str) -> _Read:
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, ValueError):
        raise Refusal(-1130, f"Data sent for parameter '{name}' is not valid.") from None
