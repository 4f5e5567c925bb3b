"""Binance's bytes into facts. Pure.

Formats: `binance.order` (an order as REST states it), `binance.trade` (a row of `myTrades`), `binance.stream` (a frame
of the private stream), `binance.account`, `binance.wallets` and `binance.positions` (what the account holds) and
`binance.answer` (a code and a sentence). A value that is not on a list is never guessed at: the payload is refused with
a sentence and waits in quarantine.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.binance.payloads import ANSWER, ORDER, RAW_BYTES_MAX, TRADE, FillRow, OrderRow, amount_or_none
from adapters.binance.reports import stream
from adapters.binance.words import REASONS, named, nameless, positive, side_of, status_of, trade_id_of
from streams.errors import BadPayload
from streams.money import ZERO
from streams.schemas import Execution, Fact, Ignored, OrderReport, Side

ORDER_FORMAT: Final = "binance.order"
TRADE_FORMAT: Final = "binance.trade"
STREAM_FORMAT: Final = "binance.stream"
ACCOUNT_FORMAT: Final = "binance.account"
ANSWER_FORMAT: Final = "binance.answer"


def decode(format: str, raw: bytes) -> Sequence[Fact]:  # noqa: A002 - the word of the streams
    """Decode one payload of Binance.

    Args:
        format: one of those above.
        raw: the venue's own bytes of one JSON object.

    Returns:
        Executions before the report that counts them, or one `Ignored`.

    Raises:
        BadPayload: it is not what `format` says; nothing else is raised whatever the bytes are.
    """
    if len(raw) > RAW_BYTES_MAX:
        raise BadPayload(f"the payload has {len(raw)} bytes, more than the {RAW_BYTES_MAX} of any order or trade")
    try:
        match format:
            case "binance.stream":  # what comes most
                return stream(raw)
            case "binance.order":
                return _order(ORDER.decode(raw))
            case "binance.trade":
                return _trade(raw)
            case "binance.account" | "binance.wallets" | "binance.positions":
                return [Ignored("a statement of what the account holds says nothing about an order")]
            case "binance.answer":
                ANSWER.decode(raw)
                return [Ignored("an answer with a code: it belongs to a request, not to an order")]
            case _:
                raise BadPayload(f"{format[:64]!r} is not a format of Binance")
    except RecursionError:
        raise BadPayload("the payload is nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise BadPayload(str(error)[:300]) from None
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise BadPayload(f"the payload is not JSON: {type(error).__name__}") from None


def _order(row: OrderRow) -> Sequence[Fact]:
    client_order_id, generation = named(row.orig_client_order_id, row.client_order_id)
    # An amend may have changed the terms: of a futures order in place, of another by the one that replaced it.
    amendable = bool(generation) or row.position_side is not None
    if row.status is None and (client_order_id is None or row.transact_time is None):
        raise BadPayload("an order without a status, and not the short answer to a new order either")
    filled = amount_or_none(row.executed_qty, "executedQty")
    if filled is None:
        filled = amount_or_none(row.cum_qty, "cumQty")
    if filled is None and row.status is not None:
        raise BadPayload("executedQty is missing")
    report = OrderReport(
        venue_symbol=row.symbol,
        venue_order_id=str(row.order_id),
        # The short answer proves that the order exists, and no more.
        status="open" if row.status is None else status_of(row.status),
        filled=ZERO if filled is None else filled,
        # Zero, the oldest of all, where none is told, as in the parts of a cancel-replace.
        reported_at_ms=max(int(row.transact_time or 0), int(row.update_time or 0)),
        client_order_id=client_order_id,
        reason=row.status if row.status in REASONS else "",
        generation=generation,
        quantity=amount_or_none(row.orig_qty, "origQty") if amendable else None,
        price=amount_or_none(row.price, "price") if amendable else None,
    )
    # A fill without a trade id has no identity: the report's figure makes the ledger ask for the trades.
    return [
        *(_fill(row, report, one) for one in row.fills or () if not nameless(one.trade_id, one.match_type)),
        report,
    ]


def _fill(row: OrderRow, report: OrderReport, fill: FillRow) -> Execution:
    if row.transact_time is None:
        raise BadPayload("transactTime is missing in an answer with fills")
    return Execution(
        venue_symbol=row.symbol,
        venue_order_id=report.venue_order_id,
        trade_id=trade_id_of(fill.trade_id),
        client_order_id=report.client_order_id,
        side=side_of(row.side),
        quantity=positive(fill.qty, "qty"),
        price=positive(fill.price, "price"),
        fee=amount_or_none(fill.commission, "commission", least=None),
        fee_asset=fill.commission_asset or None,
        maker=False,  # what an order trades on arrival, it takes
        executed_at_ms=int(row.transact_time),
        generation=report.generation,
    )


def _trade(raw: bytes) -> Sequence[Fact]:
    row = TRADE.decode(raw)
    if row.side is None and row.is_buyer is None:
        raise BadPayload("a trade without isBuyer or side: whose it was cannot be told")
    if row.side is None:
        side: Side = "buy" if row.is_buyer else "sell"
    else:
        side = side_of(row.side)
    execution = Execution(
        venue_symbol=row.symbol,
        venue_order_id=str(row.order_id),
        trade_id=str(row.id),
        side=side,
        quantity=positive(row.qty, "qty"),
        price=positive(row.price, "price"),
        fee=amount_or_none(row.commission, "commission", least=None),
        fee_asset=row.commission_asset or None,
        maker=row.maker if row.is_maker is None else row.is_maker,
        executed_at_ms=int(row.time),
    )
    return [execution]
