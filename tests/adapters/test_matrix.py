"""Specification of tests/adapters/matrix.py: what `make venues` prints."""

import pytest

from tests.adapters.matrix import FAILED, PASSED, named, table, why

HERE = "tests/adapters/test_conformance.py"


@pytest.mark.parametrize(
    ("node_id", "found"),
    [
        (f"{HERE}::test_an_order[binance-rest]", ("an order", "binance-rest")),
        (f"{HERE}::test_an_order[binance-usdm-ws]", ("an order", "binance-usdm-ws")),
        (f"{HERE}::test_refused[binance-ws-would take]", ("refused: would take", "binance-ws")),
        ("tests/adapters/test_matrix.py::test_an_order[binance-rest]", None),
        (f"{HERE}::test_an_order", None),
    ],
)
def test_a_test_is_a_case_of_a_venue_by_one_way(node_id: str, found: tuple[str, str] | None) -> None:
    """Parameters of a case make a row of their own."""
    assert named(node_id) == found


def test_the_table_has_a_row_a_case_and_a_column_a_way() -> None:
    """What was not run stays empty."""
    shown = table({("a", "x-rest"): PASSED, ("long one", "x-rest"): FAILED, ("a", "y-ws"): PASSED})
    assert shown.splitlines() == [
        "          x-rest  y-ws",
        "a          yes    yes",
        "long one    NO",
    ]


def test_what_was_skipped_has_its_reason_under_the_table() -> None:
    """Once a reason, with every way it is of."""
    one = "one order a request"
    assert (
        why({("a", "x-rest"): one, ("b", "x-rest"): one, ("a", "y-ws"): one}) == "-  one order a request: x-rest, y-ws"
    )
