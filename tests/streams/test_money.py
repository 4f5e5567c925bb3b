"""Specification of streams/money.py: one canonical text per amount, and the sizes an amount can have."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.money import CONTEXT, DIGITS_MAX, in_bounds, plain, text

AMOUNTS = st.decimals(min_value="-1e19", max_value="1e19", allow_nan=False, places=12)
# Anything a wire can carry: huge and tiny exponents, more digits than the context holds, no number at all.
WILD = st.one_of(
    st.decimals(),
    st.builds(
        lambda digits, exponent: Decimal((0, digits, exponent)),
        st.lists(st.integers(0, 9), min_size=1, max_size=60).map(tuple),
        st.integers(-70, 70) | st.sampled_from([-1_000_000_000, 1_000_000_000]),
    ),
)


@given(AMOUNTS)
def test_plain_keeps_the_value(amount: Decimal) -> None:
    """The canonical form is equal to what it was made from."""
    assert plain(amount) == amount


@given(AMOUNTS)
def test_plain_and_text_are_idempotent(amount: Decimal) -> None:
    """The canonical form of a canonical form is itself, to the letter."""
    once = plain(amount)
    assert plain(once).as_tuple() == once.as_tuple()
    assert text(Decimal(text(amount))) == text(amount)


@given(AMOUNTS)
def test_text_is_str_of_plain(amount: Decimal) -> None:
    """Encoders that print a plain amount by themselves print the canonical text."""
    if abs(plain(amount)) >= Decimal("1e-6") or not amount:  # below, Python's own str turns to an exponent
        assert str(plain(amount)) == text(amount)


@given(AMOUNTS)
def test_text_has_no_exponent_and_nothing_superfluous(amount: Decimal) -> None:
    """Digits and at most one point: no exponent, no trailing zeros, no negative zero."""
    written = text(amount)
    assert Decimal(written) == amount
    assert set(written) <= set("-0123456789.")
    assert written != "-0"
    assert not ("." in written and written.endswith(("0", ".")))


@given(AMOUNTS, st.integers(0, 8))
def test_equal_amounts_have_one_text(amount: Decimal, zeros: int) -> None:
    """Zeros appended after the point change nothing."""
    spelled = f"{amount:f}" + "0" * zeros
    assert text(Decimal(spelled)) == text(amount)


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("1", "1"),
        ("1.00", "1"),
        ("100", "100"),
        ("1E+2", "100"),
        ("1E-7", "0.0000001"),
        ("0.50", "0.5"),
        ("-0", "0"),
        ("0E-50", "0"),
        ("-2.50", "-2.5"),
    ],
)
def test_text_of_known_spellings(given_text: str, canonical: str) -> None:
    """Known spellings have their known canonical text."""
    assert text(Decimal(given_text)) == canonical


@given(st.integers(1, 10**DIGITS_MAX - 1), st.integers(0, DIGITS_MAX))
def test_ordinary_amounts_are_in_bounds(digits: int, decimals: int) -> None:
    """Up to 20 digits with up to 20 of them after the point are what a venue could mean."""
    assert in_bounds(Decimal(digits).scaleb(-decimals, CONTEXT))


@pytest.mark.parametrize(
    "outside",
    ["0", "-0", "-1", "1E+20", "1E-21", "1.000000000000000000001", "NaN", "sNaN", "Infinity", "-Infinity", "1E+60"],
)
def test_what_is_no_amount_is_out_of_bounds(outside: str) -> None:
    """Zero, negative, endless, no number, too large, too fine: none is an amount of an order."""
    assert not in_bounds(Decimal(outside))


@pytest.mark.parametrize("inside", ["99999999999999999999", "1E+19", "1E-20", "1.00000000000000000000000000"])
def test_the_bounds_themselves(inside: str) -> None:
    """The largest and the finest amount are in bounds; zeros behind them do not count."""
    assert in_bounds(Decimal(inside))


@given(WILD)
@example(Decimal("1E+1000000000"))
@example(Decimal("1E-1000000000"))
@example(Decimal("9999999999999999999.99999999999999999999"))
def test_an_amount_in_bounds_has_an_exact_text(amount: Decimal) -> None:
    """Whatever comes, the question is answered, and what is in bounds is written without losing a digit."""
    if in_bounds(amount):
        assert Decimal(text(amount)) == amount


@given(AMOUNTS.filter(bool))
def test_the_thread_s_decimal_context_does_not_matter(amount: Decimal) -> None:
    """A caller's own decimal settings change neither text nor bounds."""
    before = text(amount), in_bounds(amount)
    with decimal.localcontext(decimal.Context(prec=3)):
        assert (text(amount), in_bounds(amount)) == before
