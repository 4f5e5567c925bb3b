"""Native codes of Binance USDⓈ-M: which of them prove that a command had no effect. Pure.

Each code and what it means is from the venue's error page of USDⓈ-M futures (developers.binance.com, `error-code`, as
of 2026), compared with it code by code. The -1xxx, -2014, -2015 codes are those of spot. Never on a list, besides
spot's: -2020 (unable to fill), -4078, -4083 (an internal error, a batch that failed), -5043 (an amend is pending, which
may be this one): after them the order may be live, or amended.
"""

from adapters.binance.codes import ALWAYS, CANCEL_RULES, ENGINE_REFUSALS, placed, read_error
from adapters.binance.payloads import ORDER
from adapters.classify import Rule, Table

# The order was checked and thrown away: margin, position, mode, amount, price, permission.
_REFUSED = (
    "-1099",  # not found, authenticated or authorised
    "-1122",  # symbol status
    "-2016",  # no trading window
    "-2017",  # keys locked
    "-2018",  # balance not sufficient
    "-2019",  # margin not sufficient
    "-2021",  # would trigger at once
    "-2022",  # reduce-only refused
    "-2023",  # account in liquidation
    "-2024",  # position not sufficient
    "-2025",  # open order limit
    "-2026",  # type not possible with reduce-only
    "-2027",  # position above what the leverage allows
    "-2028",  # leverage below what the margin allows
    "-4001",  # price below zero
    "-4002",  # price above maximum
    "-4003",  # quantity below zero
    "-4004",  # quantity below minimum
    "-4005",  # quantity above maximum
    "-4013",  # price below minimum
    "-4014",  # price off the tick
    "-4015",  # client order id not valid
    "-4016",  # price above the mark price's cap
    "-4022",  # market status
    "-4023",  # quantity off the step
    "-4024",  # price below the mark price's floor
    "-4045",  # stop order limit
    "-4060",  # position side not valid
    "-4061",  # position side does not fit the account's mode
    "-4062",  # reduce-only does not fit the account's mode
    "-4087",  # reduce-only orders alone
    "-4088",  # account may not place orders
    "-4118",  # reduce-only margin check
    "-4120",  # type belongs to another endpoint
    "-4131",  # counterparty's best price outside of the filter
    "-4140",  # symbol status does not allow opening
    "-4141",  # symbol closed
    "-4164",  # notional below minimum
    "-4183",  # price above the cap
    "-4184",  # price below the floor
    "-4192",  # cooling-off period
    "-4400",  # reduce-only orders alone, by trading rules
    "-4401",  # reduce-only orders alone, for large positions
    "-4402",  # not available in this region
    "-5021",  # fill-or-kill that could not be filled
    "-5022",  # post-only that would have taken
    "-5037",  # price match not valid
    "-5038",  # price match with another type
    "-5039",  # self-trade prevention mode
    "-5040",  # good-till-date too early or too late
)


def cancelled(body: bytes, client_order_id: str) -> str:
    """Say what is missing for the body to show our cancelled order; raises as `adapters.binance.codes.placed`.

    Unlike spot's, this answer keeps the order's own id in `clientOrderId`.
    """
    row = ORDER.decode(body)
    if row.client_order_id != client_order_id:
        return "with an order that is not ours"
    return "" if row.status in ("CANCELED", "FILLED", "EXPIRED") else "with an order that is not cancelled"


PLACE = Table(
    rules=(
        Rule("-4116", "duplicate"),
        Rule("-2010", "duplicate", r"^Duplicate order sent"),
        Rule("-2010", "refused", ENGINE_REFUSALS),
        *(Rule(code, "refused") for code in _REFUSED),
        *ALWAYS,
    ),
    error=read_error,
    accepted=placed,
)
CANCEL = Table(rules=CANCEL_RULES, error=read_error, accepted=cancelled)

# -2013 is about this command alone, as -2011 is of a cancel. -5024: the symbol is not trading. -5025: no limit order.
# -5026: amended too often. -5029: notional below minimum. -5027: it has these terms, perhaps by an earlier attempt of
# this very amend.
_NOT_AMENDED = ("-2013", "-5024", "-5025", "-5026", "-5029")
AMEND = Table(
    rules=(*(Rule(code, "refused") for code in _NOT_AMENDED), Rule("-5027", "duplicate"), *PLACE.rules, *CANCEL_RULES),
    error=read_error,
    accepted=placed,
)
