"""What ccxt must be able to do with an exchange before money is sent there. Pure."""

import difflib
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from streams.errors import UsageError

PREFIX = "ccxt:"
NEAR_MAX = 3
# Credentials that an account can be given here.
KEPT = frozenset({"apiKey", "secret", "password"})
# Of ccxt's `has`; of those in one line, one is enough.
CALLS: Mapping[str, tuple[str, ...]] = {
    "place orders": ("createOrder",),
    "cancel them": ("cancelOrder",),
    "look one up": ("fetchOrder",),
    "list open orders": ("fetchOpenOrders",),
    "list ended orders": ("fetchOrders", "fetchClosedOrders"),
    "list own trades": ("fetchMyTrades",),
}


@cache
def known() -> frozenset[str]:
    """Name every exchange of the installed ccxt, which is not imported for that."""
    found = importlib.util.find_spec("ccxt")
    folders = [] if found is None else found.submodule_search_locations or []
    files = (file for folder in folders for file in (Path(folder) / "async_support").glob("*.py"))
    return frozenset(file.stem for file in files if not file.stem.startswith("_"))


def exchange_of(venue: str) -> str:
    """Read the exchange's id in `ccxt:<id>`.

    Raises:
        UsageError: ccxt knows none of that name; the sentence has the nearest ones.
    """
    exchange_id = venue.removeprefix(PREFIX)
    if exchange_id in known():
        return exchange_id
    near = difflib.get_close_matches(exchange_id, sorted(known()), NEAR_MAX)
    hint = f"; did you mean {', '.join(PREFIX + one for one in near)}?" if near else "; ccxt's own list has its ids."
    raise UsageError(f"ccxt knows no exchange {exchange_id!r}{hint}")


def missing(has: Mapping[str, object], required: Mapping[str, object]) -> str:
    """Say what is missing, by what ccxt says of an exchange; empty when nothing is.

    Args:
        has: ccxt's `has`.
        required: ccxt's `requiredCredentials`.
    """
    strange = sorted(name for name, needed in required.items() if needed and name not in KEPT)
    if strange:
        return (
            f"its requests are signed with {', '.join(strange)}, and an account here has a key, a secret, a passphrase"
        )
    lacking = [what for what, calls in CALLS.items() if not any(has.get(call) for call in calls)]
    return f"ccxt cannot {', '.join(lacking)} there" if lacking else ""
