"""What an amend asks for, held against the order it names and its instrument's grid. Pure."""

from msgspec.structs import replace

from streams.instrument import Instrument, Legal, fit
from streams.schemas import Amend, Order, Place

NO_PRICE = "a market order has no price and cannot be amended"


def wish(intent: Amend, terms: Place) -> Place:
    """Give the order's terms as they would be."""
    return replace(terms, quantity=intent.quantity, price=intent.price, rounding=intent.rounding)


def refusal(intent: Amend, order: Order, instrument: Instrument) -> str:
    """Say why an amend could never go out as it is; empty when it could, or when it was decided before."""
    revision = max(order.state.revision, order.amend.revision if order.amend is not None else 0)
    if order.terms is None or intent.revision <= revision:
        return ""
    if order.terms.type != "limit":
        return NO_PRICE
    fitted = fit(wish(intent, order.terms), instrument)
    return "" if isinstance(fitted, Legal) else fitted.sentence
