"""What differs between Binance's products: addresses, tables, terms. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from adapters.binance import codes, requests, ws_api
from adapters.binance.facts import FACTS
from adapters.binance.instruments import instruments
from adapters.binance.lists import Kind, orders, trades
from adapters.classify import Table
from adapters.venue import VenueFacts
from streams.instrument import Instrument
from streams.schemas import Amending, Order


def whole(body: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Take a body for what it says of one order."""
    return body, ()


class Command(Struct, frozen=True):
    """One command about one order: by REST, by the order socket, and what its answers prove.

    Attributes:
        parts: takes an answer apart into what it says of the order, and of others; never raises.
    """

    endpoint: str
    method: str
    table: Table
    parts: Callable[[bytes], tuple[bytes, tuple[bytes, ...]]] = whole


class Product(Struct, frozen=True, kw_only=True):
    """One product of Binance; endpoints are ccxt's names.

    Attributes:
        facts: what it declares.
        options: of ccxt.
        order_url: of order entry by websocket.
        stream_url: of the private stream.
        place: the command for a new order.
        cancel: the command to cancel.
        amend: the command to amend.
        order: endpoint of one order.
        open_orders: endpoint of open orders.
        all_orders: list of all orders.
        own_trades: list of own trades.
        balances: endpoint of what the account holds.
        time: endpoint of the clock.
        info: endpoint of what can be traded.
        terms: an order as parameters; raises BadIntent.
        amended: an amend as parameters; raises BadIntent.
        spell: a unified symbol in the venue's spelling; raises BadIntent.
        read_instruments: the body of `info`; raises BadPayload.
    """

    facts: VenueFacts
    options: Mapping[str, Any]
    order_url: str
    stream_url: str
    place: Command
    cancel: Command
    amend: Command
    order: str
    open_orders: str
    all_orders: Kind
    own_trades: Kind
    balances: str
    time: str
    info: str
    terms: Callable[[Order], requests.Params]
    amended: Callable[[Order, Amending], requests.Params]
    spell: Callable[[str], str]
    read_instruments: Callable[[bytes], Sequence[Instrument]]


SPOT = Product(
    facts=FACTS,
    options={"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
    order_url="wss://ws-api.binance.com:443/ws-api/v3",
    stream_url="wss://ws-api.binance.com:443/ws-api/v3",
    place=Command("private_post_order", ws_api.PLACE, codes.PLACE),
    cancel=Command("private_delete_order", ws_api.CANCEL, codes.CANCEL),
    amend=Command("private_post_order_cancelreplace", ws_api.REPLACE, codes.REPLACE, codes.replaced_parts),
    order="private_get_order",
    open_orders="private_get_openorders",
    all_orders=orders("private_get_allorders"),
    own_trades=trades("private_get_mytrades"),
    balances="private_get_account",
    time="public_get_time",
    info="public_get_exchangeinfo",
    terms=requests.place,
    amended=requests.replace,
    spell=requests.venue_symbol,
    read_instruments=instruments,
)
