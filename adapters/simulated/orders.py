"""Pure: what the venue remembers of an order, an execution and a report. All times are milliseconds of its clock."""

from decimal import Decimal
from enum import Enum

import msgspec

from adapters.simulated.matching import Side, TimeInForce

ZERO = Decimal(0)


class OrderType(Enum):
    """The order types this venue offers."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"


class Status(Enum):
    """An order's status in Binance's words."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


OPEN = frozenset({Status.NEW, Status.PARTIALLY_FILLED})


class ExecutionType(Enum):
    """Why an execution report was sent (field `x`)."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    AMENDMENT = "AMENDMENT"


class Placement(msgspec.Struct, frozen=True):
    """A request for an order whose form is right; `price` is None for a market order."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    client_order_id: str
    position_side: str = "BOTH"
    reduce_only: bool = False


class Cancellation(msgspec.Struct, frozen=True):
    """A request to cancel by either id; `cancel_id` is the request's own client id."""

    symbol: str
    order_id: int | None
    client_order_id: str | None
    cancel_id: str


class Order(msgspec.Struct, frozen=True):
    """An accepted order at one moment. Look-ups do not show it before `visible_at_ms`."""

    account: str
    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    executed: Decimal
    quote_executed: Decimal
    status: Status
    created_ms: int
    updated_ms: int
    visible_at_ms: int
    position_side: str = "BOTH"
    reduce_only: bool = False
    reserved: Decimal = ZERO  # price for which margin was set aside, of a market order

    @property
    def remaining(self) -> Decimal:
        """What is not executed yet."""
        return self.quantity - self.executed


class Fill(msgspec.Struct, frozen=True):
    """One account's side of one trade. Trade ids are unique per symbol; a self-trade gives one id to both sides."""

    account: str
    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    time_ms: int
    visible_at_ms: int


class Report(msgspec.Struct, frozen=True):
    """One execution report: the order after it, its fill if it was a trade, the cancel request's id if it was one."""

    execution_id: int
    execution: ExecutionType
    order: Order
    time_ms: int
    fill: Fill | None = None
    cancel_id: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What a request did: the order it spoke of, and every report it caused, of whichever account, in order."""

    order: Order
    reports: tuple[Report, ...]

    @property
    def fills(self) -> tuple[Fill, ...]:
        """The fills of the request's own order."""
        return tuple(
            report.fill
            for report in self.reports
            if report.fill is not None and report.order.order_id == self.order.order_id
        )
