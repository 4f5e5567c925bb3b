"""Money: one canonical text for every decimal, and the one context calculations use. Pure.

1, 1.0 and 1.00 are one quantity, so they have one text. Every stored amount is written by `plain`.
"""

import decimal
from decimal import Decimal

# 80 digits hold any quantity times any price within the bounds exactly; half-even so that a sum has no bias.
PRECISION = 80
CONTEXT = decimal.Context(prec=PRECISION, rounding=decimal.ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)

# Only a division has no exact text; 28 digits leave an error far below the smallest step of any asset.
RATIOS = decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN)

ZERO = Decimal(0)
# Beyond these an amount is a mistake, not a wish: no venue lists 10^20 units or 10^-20 steps.
DIGITS_MAX = 20


def plain(amount: Decimal) -> Decimal:
    """Give the canonical form: no exponent, no trailing zeros, no negative zero.

    Args:
        amount: any finite decimal.

    Returns:
        An equal decimal whose `str` is the canonical text ("100", "0.5", "0").
    """
    written = str(amount)
    # Nearly every amount is canonical already: no exponent, and no zero at the end of a fraction.
    if written[-1] != "0" and "E" not in written and len(written) < PRECISION:
        return amount
    if not amount:
        return ZERO
    if "E" not in written and len(written) < PRECISION:
        return Decimal(written.rstrip("0").rstrip(".")) if "." in written else amount
    short = amount.normalize(CONTEXT)
    # Its text has an exponent for every multiple of ten, and for the very small, which stay as they are.
    return short.quantize(Decimal(1), context=CONTEXT) if "E+" in str(short) else short


def text(amount: Decimal) -> str:
    """Write the canonical text of `amount`, never in scientific notation."""
    written = str(amount)
    if "E" not in written and written != "-0" and ("." not in written or written[-1] != "0"):
        return written  # what is left differs from the canonical text in nothing, and most amounts come that way
    short = plain(amount)
    written = str(short)
    return f"{short:f}" if "E" in written else written


def in_bounds(amount: Decimal) -> bool:
    """Say whether `amount` is finite, positive and of a size and precision a venue could mean."""
    if not amount.is_finite() or amount <= 0 or not -DIGITS_MAX <= amount.adjusted() < DIGITS_MAX:
        return False
    short = amount.normalize(CONTEXT)
    exponent = short.as_tuple().exponent
    # More digits than the context holds would be rounded wherever the amount is written.
    return short == amount and isinstance(exponent, int) and exponent >= -DIGITS_MAX
