"""`ccxt:<id>` as a `Plug` of the registry."""

from collections.abc import Callable

from adapters.generic.decode import decode, describe, holdings, sniff
from adapters.generic.facts import facts_of
from adapters.generic.needs import exchange_of
from adapters.registry import Addresses, Plug, VenueSettings
from adapters.venue import Venue

# Stands in for an address: ccxt knows where the testnet of an exchange is, if it has one.
SANDBOX = "ccxt:testnet"


def plug_of(venue: str) -> Plug:
    """Make the plug of `ccxt:<id>`.

    Raises:
        UsageError: ccxt knows no such exchange.
    """
    exchange_id = exchange_of(venue)

    async def opened(settings: VenueSettings, now_ms: Callable[[], int]) -> Venue:
        from adapters.generic.venue import CcxtVenue

        sandbox = settings.rest_url == SANDBOX
        return await CcxtVenue.open(
            exchange_id, settings.credentials, now_ms, rest_url="" if sandbox else settings.rest_url, sandbox=sandbox,
            call_timeout_ms=settings.request_timeout_ms,
        )  # fmt: skip

    def check() -> None:
        from adapters.generic import probe

        probe.check(exchange_id)

    return Plug(
        facts=facts_of(exchange_id),
        decode=decode,
        describe=describe,
        holdings=holdings,
        sniff=sniff,
        open=opened,
        check=check,
        environments={
            "live": Addresses(rest_url="", ws_url="", order_url=""),
            "testnet": Addresses(rest_url=SANDBOX, ws_url="", order_url=""),
        },
    )
