"""Lists of orders and trades: stepped through time until something recent is there, then followed by id to the end.

Which rows of a longer list are given is not said by the venue's pages ("most recent"), and USDⓈ-M's lists without times
are of the last seven days. So a span whose page is full is halved, and what is older is stepped through to its end.
"""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from adapters.binance import answers
from adapters.binance.requests import Params
from adapters.classify import Failure, Response
from adapters.venue import CouldNotAsk

PAGE_ROWS = 1_000  # spot's own maximum, and USDⓈ-M's
PAGES_MAX = 1_000  # of one look-up
SPAN_MS = 24 * 3_600_000 - 1  # longest time between startTime and endTime at spot
FOLLOWED_MS = 6 * 24 * 3_600_000  # rows of so long are shown by id alone
SPANS_MAX = 100  # older orders without a fill are archived after 90 days anyway
_TOO_MANY = f"more than {PAGES_MAX * PAGE_ROWS} rows; ask for less."

Ask = Callable[[str, Params], Awaitable[Response | Failure]]


class Kind(Struct, frozen=True):
    """One list that is paged through by id.

    Attributes:
        endpoint: ccxt's name of it.
        cursor: parameter of the id to go on from.
        read: takes the rows out of an answer, by id.
    """

    endpoint: str
    cursor: str
    read: Callable[[Response | Failure], list[tuple[int, bytes]]]


def orders(endpoint: str) -> Kind:
    """Name the list of all orders."""
    return Kind(endpoint, "orderId", answers.orders)


def trades(endpoint: str) -> Kind:
    """Name the list of own trades."""
    return Kind(endpoint, "fromId", answers.trades)


async def since(ask: Ask, kind: Kind, params: Params, start_ms: int, end_ms: int) -> list[bytes]:
    """Fetch all rows since a moment of the venue's clock, oldest first.

    Args:
        ask: sends one signed request.
        kind: which list.
        params: the symbol.
        start_ms: of the venue's clock.
        end_ms: the venue's now.

    Raises:
        CouldNotAsk: no answer that means anything, or more rows than one look-up may fetch.
    """
    if end_ms - start_ms > SPANS_MAX * SPAN_MS:
        raise CouldNotAsk(f"{params['symbol']} since {start_ms} is more than {SPANS_MAX} days ago; ask for less.")
    older: list[bytes] = []
    span_ms = SPAN_MS
    for _ in range(PAGES_MAX):
        span = {"startTime": str(start_ms), "endTime": str(start_ms + span_ms)}
        page = await _page(ask, kind, {**params, **span})
        if len(page) >= PAGE_ROWS and span_ms:
            # Of a span that reaches into the future the past is halved: each question costs weight.
            span_ms = min(span_ms, max(end_ms - start_ms, 1)) // 2
            continue
        recent = start_ms + span_ms >= end_ms - FOLLOWED_MS or not span_ms
        if (page and recent) or start_ms + span_ms >= end_ms:
            return older + await _follow(ask, kind, params, page)
        older += (raw for _, raw in page)
        start_ms += span_ms + 1
        span_ms = SPAN_MS
    raise CouldNotAsk(_TOO_MANY)


async def of_order(ask: Ask, kind: Kind, params: Params) -> list[bytes]:
    """Fetch all rows that `params` name, oldest first; raises as `since`."""
    page = await _page(ask, kind, params)
    if len(page) >= PAGE_ROWS:
        page = await _page(ask, kind, {**params, kind.cursor: "0"}) or page
    return await _follow(ask, kind, params, page)


async def _follow(ask: Ask, kind: Kind, params: Params, page: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """Fetch everything after `page` by id, until a page is empty: a short one proves nothing."""
    rows = list(page)
    for _ in range(PAGES_MAX):
        if not page:
            return [raw for _, raw in rows]
        after = page[-1][0]
        page = await _page(ask, kind, {**params, kind.cursor: str(after + 1)})
        if page and page[0][0] <= after:
            raise CouldNotAsk("the venue repeats rows while they are paged through; try again.")
        rows += page
    raise CouldNotAsk(_TOO_MANY)


async def _page(ask: Ask, kind: Kind, params: Params) -> list[tuple[int, bytes]]:
    return kind.read(await ask(kind.endpoint, {**params, "limit": str(PAGE_ROWS)}))
