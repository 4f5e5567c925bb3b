"""Pure: how a product of the venue is spoken to and what it prints. The matching core and the faults are the same."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from msgspec import Struct

from adapters.simulated import amending, payloads, requests, symbols
from adapters.simulated.accounts import Account
from adapters.simulated.amending import Amended
from adapters.simulated.exchange import Exchange
from adapters.simulated.orders import Fill, Order, Outcome, Placement, Report
from adapters.simulated.payloads import Payload
from adapters.simulated.refusals import Refusal
from adapters.simulated.requests import Params
from adapters.simulated.symbols import Symbol


class Form(Struct, frozen=True, kw_only=True):
    """One product's words.

    Attributes:
        rest_path: what stands before REST's own names.
        ws_path: of order entry by websocket.
        lookups: REST's names of look-ups (below `rest_path`, or a whole path), to the core's.
        placement: reads a new order and the answer it asks for; raises Refusal.
        placed: prints the answer to a new order.
        cancelled: prints the answer to a cancel.
        amend: carries out an amend; raises Refusal.
        amend_route: REST's method and name of it.
        amend_method: the websocket's.
        order_row: prints an order of a look-up.
        trade_row: prints a trade of a look-up.
        reports: prints the events of one report, in the order they are sent.
        balances: prints what a trade changed of an account; None when it says nothing.
        moved: prints what changed a balance that no trade did: asset, delta, why, the venue's time.
        ended: prints the end of a subscription.
        wrapped: whether events stand in a frame with the subscription's number.
        describe: prints a symbol.
        refused: gives a refusal of the core the product's own code.
        batch: REST's name of several orders in one request; empty where there is none.
        order_weight: what a new order or an amend costs of the request weight.
    """

    rest_path: str
    ws_path: str
    lookups: Mapping[str, str]
    placement: Callable[[Params, str], tuple[Placement, str]]
    placed: Callable[[Outcome, str], Payload]
    cancelled: Callable[[Outcome], Payload]
    amend: Callable[[Exchange, str, Params, str, int, int], Amended]
    amend_route: tuple[str, str]
    amend_method: str
    order_row: Callable[[Order], Payload]
    trade_row: Callable[[Fill], Payload]
    reports: Callable[[Report, int], Iterable[Payload]]
    balances: Callable[[Account, Iterable[str], int], Payload]
    moved: Callable[[str, Decimal, str, int], Payload]
    ended: str
    wrapped: bool
    describe: Callable[[Symbol], Payload]
    refused: Callable[[Refusal], Refusal]
    batch: str = ""
    order_weight: int = 1


def _reports(report: Report, event_ms: int) -> Iterable[Payload]:
    return (payloads.execution_report(report, event_ms),)


SPOT = Form(
    rest_path="/api/v3",
    ws_path="/ws-api/v3",
    lookups={
        **{name: name for name in ("order", "openOrders", "allOrders", "myTrades", "account")},
        "/sapi/v1/account/apiRestrictions": "apiRestrictions",
    },
    placement=requests.placement,
    placed=payloads.placed,
    cancelled=payloads.cancelled,
    amend=amending.replace,
    amend_route=("POST", "order/cancelReplace"),
    amend_method="order.cancelReplace",
    order_row=payloads.order_row,
    trade_row=payloads.trade_row,
    reports=_reports,
    balances=payloads.account_position,
    moved=lambda asset, delta, _, event_ms: payloads.balance_update(asset, delta, event_ms),
    ended="eventStreamTerminated",
    wrapped=True,
    describe=symbols.describe,
    refused=lambda refusal: refusal,
)
