"""A whole list of an exchange of which is not known which end of it a page shows, nor how long a page is. Pure.

A page is one run of the list: from the moment that was asked for onwards, or up to the newest row. So nothing is
missing between a moment and a page that begins before it; a page that begins there or later and is not short may be
the end of a longer list, with a row of that very moment left out. Then it is asked from earlier on, and up to where the
page begins. What cannot be shown to be whole is no answer.
"""

from collections.abc import Awaitable, Callable, Sequence

from adapters.generic.answers import Row, at_ms, by_time
from adapters.venue import CouldNotAsk

PAGES_MAX = 1_000
# The shortest page of an exchange that was looked at has more rows: a shorter answer was not cut.
PAGE_MIN = 10
# How much earlier it is asked from, until a page reaches back: the first is for who leaves out the moment itself.
EARLIER_MS = (1_000, 60_000, 3_600_000, 86_400_000)

# From a moment of the exchange's clock on, and up to another where one is given.
Page = Callable[[int, int | None], Awaitable[Sequence[Row]]]


async def whole(page: Page, since_ms: int) -> list[Row]:
    """Fetch every row since a moment, oldest first.

    Raises:
        CouldNotAsk: the exchange did not answer, or rows may be missing.
    """
    return await _Walk(page).all_since(since_ms)


class _Walk:
    """One list: its pages, and how many rows the longest of them had."""

    def __init__(self, page: Page) -> None:
        self._ask, self._longest = page, 0

    async def all_since(self, since_ms: int) -> list[Row]:
        found: dict[str, Row] = {}
        start_ms = since_ms
        for _ in range(PAGES_MAX):
            rows = await self._run(start_ms)
            found.update((str(row.get("id")), row) for row in rows)
            newest_ms = _ends(rows)
            if newest_ms <= start_ms:
                self._refuse_full(rows, start_ms)
                # A row without a time is kept: it can be of any.
                return by_time([row for row in found.values() if not at_ms(row) or at_ms(row) >= since_ms])
            start_ms = newest_ms
        raise CouldNotAsk(f"more than {PAGES_MAX} pages; ask for less.")

    async def _run(self, start_ms: int) -> Sequence[Row]:
        """Give a run of the list from `start_ms` on, with nothing missing before its newest row."""
        first = await self._page(start_ms, None)
        if len(first) < max(PAGE_MIN, self._longest):
            return first  # there was room for more
        if not all(map(at_ms, first)):
            raise CouldNotAsk("rows of a long list have no time, so nobody can tell whether it is whole")
        if _begins(first) < start_ms:
            return first
        for earlier_ms in EARLIER_MS:
            rows = await self._page(max(start_ms - earlier_ms, 0), None)
            if _ends(rows) < _ends(first):
                return first  # the exchange lists the oldest first, so this one began where it was asked to
            if _begins(rows) < start_ms:
                return rows
        return await self._backwards(start_ms, first)

    async def _backwards(self, start_ms: int, rows: Sequence[Row]) -> Sequence[Row]:
        """Add what is older than a page that shows the newest, as long as there is any."""
        found = {str(row.get("id")): row for row in rows}
        for _ in range(PAGES_MAX):
            until_ms = _begins(list(found.values()))
            older = await self._page(start_ms, until_ms)
            if _ends(older) > until_ms:
                raise CouldNotAsk("the exchange may list the newest rows alone, and does not say what is older")
            news = {str(row.get("id")): row for row in older if str(row.get("id")) not in found}
            if not news:
                self._refuse_full(older, until_ms)
                return list(found.values())
            found = news | found  # rows of one moment stay in the exchange's order
        raise CouldNotAsk(f"more than {PAGES_MAX} pages; ask for less.")

    async def _page(self, since_ms: int, until_ms: int | None) -> Sequence[Row]:
        rows = await self._ask(since_ms, until_ms)
        self._longest = max(self._longest, len(rows))
        return rows

    def _refuse_full(self, rows: Sequence[Row], at: int) -> None:
        """Refuse a page of one moment that may have no room for the rest of it; raises CouldNotAsk."""
        if len(rows) >= max(PAGE_MIN, self._longest):
            raise CouldNotAsk(f"a page is full of rows of {at} ms, so there may be more of them")


def _begins(rows: Sequence[Row]) -> int:
    return min(map(at_ms, rows), default=0)


def _ends(rows: Sequence[Row]) -> int:
    return max(map(at_ms, rows), default=0)
