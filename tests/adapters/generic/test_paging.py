"""Specification of adapters/generic/paging.py: a list is whole, or it is no answer."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.generic.paging import PAGE_MIN, whole
from adapters.venue import CouldNotAsk

Rows = Sequence[dict[str, Any]]


class Exchange:
    """Lists rows as exchanges do: so many to a page, from one end or the other, `until` heeded or not.

    Attributes:
        asked: how often.
    """

    def __init__(self, times_ms: Sequence[int], size: int, *, newest_first: bool, heeds_until: bool = True) -> None:
        self.rows: list[dict[str, Any]] = [
            {"id": str(number), "timestamp": at_ms} for number, at_ms in enumerate(sorted(times_ms))
        ]
        self.asked = 0
        self._size, self._newest_first, self._heeds_until = size, newest_first, heeds_until

    async def page(self, since_ms: int, until_ms: int | None) -> Rows:
        """Answer one question."""
        self.asked += 1
        end_ms = until_ms if until_ms is not None and self._heeds_until else 10**15
        found = [row for row in self.rows if since_ms <= row["timestamp"] <= end_ms]
        return found[-self._size :] if self._newest_first else found[: self._size]

    def since(self, since_ms: int) -> Rows:
        """What there is."""
        return [row for row in self.rows if row["timestamp"] >= since_ms]


@given(
    st.lists(st.integers(1, 400) | st.just(200), max_size=120), st.integers(PAGE_MIN, 40), st.integers(1, 400),
    st.booleans(), st.booleans(), st.sampled_from([1, 1_000, 100_000]),
)  # fmt: skip
async def test_a_list_is_whole_or_no_answer(  # noqa: PLR0917 - hypothesis gives them by place
    times: list[int],
    size: int,
    since: int,
    newest_first: bool,
    heeds_until: bool,
    scale_ms: int,
) -> None:
    """Whatever the exchange's habits."""
    exchange = Exchange([at * scale_ms for at in times], size, newest_first=newest_first, heeds_until=heeds_until)
    try:
        found = await whole(exchange.page, since * scale_ms)
    except CouldNotAsk:
        return
    assert found == exchange.since(since * scale_ms)


@pytest.mark.parametrize("newest_first", [True, False])
async def test_a_long_list_comes_whole_from_either_end(newest_first: bool) -> None:
    """By `until` where the newest are shown, by the newest so far where the oldest are."""
    exchange = Exchange(range(1_000, 251_000, 1_000), 50, newest_first=newest_first)
    assert await whole(exchange.page, 500) == exchange.rows


async def test_the_newest_rows_alone_are_no_answer() -> None:
    """An exchange that passes over `until`: what is older can neither be seen nor be ruled out."""
    exchange = Exchange(range(1_000, 251_000, 1_000), 50, newest_first=True, heeds_until=False)
    with pytest.raises(CouldNotAsk, match="newest rows alone"):
        await whole(exchange.page, 500)


async def test_a_page_that_reaches_back_is_whole_whatever_is_heeded() -> None:
    """One page more shows it: there is something before the moment that was asked for."""
    exchange = Exchange(range(1_000, 31_000, 1_000), 50, newest_first=True, heeds_until=False)
    assert await whole(exchange.page, 15_500) == exchange.since(15_500)


async def test_a_short_list_is_asked_for_until_nothing_newer_comes() -> None:
    """No page of any exchange is that short."""
    exchange = Exchange([1_000, 2_000], 50, newest_first=True, heeds_until=False)
    assert await whole(exchange.page, 500) == exchange.rows
    assert exchange.asked == 2


async def test_a_long_list_without_times_is_no_answer() -> None:
    """Nothing tells where it begins."""

    async def page(_since_ms: int, _until_ms: int | None) -> Rows:
        return [{"id": str(number)} for number in range(PAGE_MIN)]

    with pytest.raises(CouldNotAsk, match="no time"):
        await whole(page, 500)


async def test_a_page_that_is_cut_within_the_moment_it_was_asked_from_is_no_answer() -> None:
    """It begins where it was asked to, and a row of that moment is not on it."""
    exchange = Exchange([1_000, 1_000, *range(2_000, 11_000, 1_000)], 10, newest_first=True, heeds_until=False)
    with pytest.raises(CouldNotAsk, match="newest rows alone"):
        await whole(exchange.page, 1_000)
    heeding = Exchange([1_000, 1_000, *range(2_000, 11_000, 1_000)], 10, newest_first=True)
    assert await whole(heeding.page, 1_000) == heeding.rows


async def test_rows_of_one_moment_that_may_not_all_fit_a_page_are_no_answer() -> None:
    """Many trades of one order happen at once; a page that has room for more shows that these are all."""
    with pytest.raises(CouldNotAsk, match="full of rows of 7000 ms"):
        await whole(Exchange([7_000] * 30, 20, newest_first=False).page, 500)
    exchange = Exchange([*range(1_000, 7_000, 100), *[7_000] * 15], 20, newest_first=False)
    assert await whole(exchange.page, 500) == exchange.rows
