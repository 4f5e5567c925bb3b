"""What an account holds, from Binance's bytes. Pure."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from adapters.binance.decode import ACCOUNT_FORMAT
from adapters.binance.payloads import ACCOUNT, amount
from streams.errors import BadPayload
from streams.money import CONTEXT, plain


def holdings(format: str, raw: bytes) -> Mapping[str, Decimal]:  # noqa: A002 - the word of the streams
    """Read free and locked together by asset, without what is zero.

    Raises:
        BadPayload: it is not what `GET /api/v3/account` answers.
    """
    if format != ACCOUNT_FORMAT:
        raise BadPayload(f"{format[:64]!r} does not say what an account holds")
    try:
        rows = ACCOUNT.decode(raw).balances
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadPayload(f"not an account: {str(error)[:200]}") from None
    held = {row.asset: CONTEXT.add(amount(row.free, "free"), amount(row.locked, "locked")) for row in rows}
    return {asset: plain(total) for asset, total in held.items() if total}
