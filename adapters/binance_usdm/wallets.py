"""What wallets an account has, from USDⓈ-M's bytes. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw, Struct

from adapters.binance.payloads import Asset, amount
from streams.errors import BadPayload
from streams.money import plain

WALLETS_FORMAT: Final = "binance.wallets"


class _Row(Struct, frozen=True, rename="camel"):
    """A row of `GET /fapi/v3/balance`; `balance` is the wallet's, without what open positions would bring."""

    asset: Asset
    balance: Raw


_rows = msgspec.json.Decoder(list[_Row])


def wallets(format: str, raw: bytes) -> Mapping[str, Decimal]:  # noqa: A002 - the word of the streams
    """Read every wallet that is not empty; one may be below zero.

    Raises:
        BadPayload: it is not what `GET /fapi/v3/balance` answers.
    """
    if format != WALLETS_FORMAT:
        raise BadPayload(f"{format[:64]!r} does not say what wallets an account has")
    try:
        rows = _rows.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadPayload(f"not wallets: {str(error)[:200]}") from None
    found = {row.asset: amount(row.balance, "balance", least=None) for row in rows}
    return {asset: plain(held) for asset, held in found.items() if held}
