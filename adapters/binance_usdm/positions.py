"""What positions an account has, from USDⓈ-M's bytes. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from adapters.binance.adjustments import position_side
from adapters.binance.payloads import VenueSymbol, amount
from adapters.venue import Standing
from streams.errors import BadPayload

POSITIONS_FORMAT: Final = "binance.positions"


class _Row(Struct, frozen=True, rename="camel"):
    """A row of `GET /fapi/v3/positionRisk`."""

    symbol: VenueSymbol
    position_amt: Raw
    entry_price: Raw
    position_side: str = "BOTH"


_rows = msgspec.json.Decoder(list[_Row])


def positions(format: str, raw: bytes) -> Sequence[Standing]:  # noqa: A002 - the word of the streams
    """Read every position that is not flat.

    Raises:
        BadPayload: it is not what `GET /fapi/v3/positionRisk` answers.
    """
    if format != POSITIONS_FORMAT:
        raise BadPayload(f"{format[:64]!r} does not say what positions an account has")
    try:
        rows = _rows.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadPayload(f"not positions: {str(error)[:200]}") from None
    found = [
        Standing(
            venue_symbol=row.symbol, side=position_side(row.position_side),
            quantity=amount(row.position_amt, "positionAmt", least=None), price=amount(row.entry_price, "entryPrice"),
        )
        for row in rows
    ]  # fmt: skip
    return [one for one in found if one.quantity]
