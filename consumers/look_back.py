"""How far back a venue is asked for closed orders and executions. Pure."""

DAY_MS = 86_400_000
# Binance archives orders without a fill after 90 days (developers.binance.com, spot `GET /api/v3/allOrders`), and no
# other venue here lists more; a question about older ones has no answer, and whoever waits for one waits for ever.
LOOK_BACK_MAX_MS = 90 * DAY_MS


def look_back(since_ms: int, now_ms: int) -> int:
    """Give the moment to ask from, in UTC milliseconds: `since_ms`, or the earliest that a venue still lists."""
    return max(since_ms, now_ms - LOOK_BACK_MAX_MS)
