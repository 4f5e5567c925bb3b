"""Where an account trades: its environment's addresses, and those of its own. Pure."""

from adapters import registry
from streams.settings import AccountSettings, venue_name


def addresses(account: str, settings: AccountSettings) -> registry.Addresses:
    """Find them.

    Raises:
        UsageError: nothing says where, or it is live and not allowed to be.
    """
    given = registry.Addresses(rest_url=settings.rest_url, ws_url=settings.stream_url, order_url=settings.order_url)
    return registry.addresses(
        venue_name(account, settings), settings.environment, allow_live=settings.allow_live, given=given
    )
