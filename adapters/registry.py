"""Venues by name: what each declares, how it decodes, how it is opened.

A name is one of ours (`binance`), `ccxt:<id>` for any other exchange that ccxt knows, or a dotted path
`module:attribute` to a `Plug` of somebody else's. Nothing of a venue is imported before it is named, because its client
library may take seconds.
"""

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from adapters.credentials import Credentials
from adapters.recorded import Recorded
from adapters.venue import Decoder, Described, OrderEntry, Standing, Venue, VenueFacts
from streams.budget import Allowance
from streams.errors import UsageError

_OURS = {"binance": "adapters.binance.plug:PLUG", "binance-usdm": "adapters.binance_usdm.plug:PLUG"}


class VenueSettings(Struct, frozen=True, kw_only=True):
    """Where an account lives and how it is reached.

    Attributes:
        venue: name or dotted path.
        credentials: of the account.
        rest_url: scheme and host instead of the real venue's; empty for the real one.
        ws_url: address of the private stream instead of the real one; empty for the real one.
        request_timeout_ms: longest wait for one answer; an order it cuts off is `Unknown`.
        order_entry: by which way orders are sent; REST stands in for a socket that is not connected.
        order_url: address of order entry by websocket instead of the real one; empty takes `ws_url` where both are one.
        allowance: asked before every request; None where nothing is counted.
    """

    venue: str
    credentials: Credentials
    rest_url: str = ""
    ws_url: str = ""
    request_timeout_ms: int = 15_000
    order_entry: OrderEntry = "rest"
    order_url: str = ""
    allowance: Allowance | None = None


class Addresses(Struct, frozen=True, kw_only=True):
    """Where one environment of a venue is: REST's scheme and host, and the whole addresses of both websockets."""

    rest_url: str
    ws_url: str
    order_url: str


class Plug(Struct, frozen=True, kw_only=True):
    """A venue as the rest of the program takes it.

    Attributes:
        facts: what it declares.
        decode: bytes into facts, pure.
        describe: bytes of a listed order into its terms, pure; raises BadPayload.
        holdings: bytes of what `balances` gives into free and locked together by asset, pure; raises BadPayload.
        positions: bytes of what `positions` gives into positions, pure; raises BadPayload.
        sniff: a recorded file into payloads, pure.
        environments: where it is, by `testnet`, `demo` or `live`; none where a venue reads no environment.
        check: tries on this machine whether it can be traded at; raises UsageError; not to be called from a loop.
        open: connects; the second argument estimates the Redis server's clock (UTC ms).
    """

    facts: VenueFacts
    decode: Decoder
    describe: Callable[[str, bytes], Described]
    holdings: Callable[[str, bytes], Mapping[str, Decimal]]
    positions: Callable[[str, bytes], Sequence[Standing]] = lambda _format, _raw: ()
    sniff: Callable[[bytes], Sequence[Recorded]]
    open: Callable[[VenueSettings, Callable[[], int]], Awaitable[Venue]]
    environments: Mapping[str, Addresses] = {}
    check: Callable[[], None] = lambda: None


async def open_venue(settings: VenueSettings, now_ms: Callable[[], int]) -> Venue:
    """Open one account at its venue; close what is returned.

    Args:
        settings: of the account.
        now_ms: estimate of the Redis server's clock (UTC ms); send windows are times of that clock.

    Raises:
        UsageError: there is no such venue, or it cannot be opened with these settings.
        CouldNotAsk: the venue did not answer.
    """
    found = plug(settings.venue)
    if settings.order_entry not in found.facts.order_entry:
        known = ", ".join(sorted(found.facts.order_entry))
        raise UsageError(f"{found.facts.name} takes no orders by {settings.order_entry}; set order_entry to {known}.")
    return await found.open(settings, now_ms)


def addresses(venue: str, environment: str, *, allow_live: bool, given: Addresses) -> Addresses:
    """Find where an account is reached; what is given stands before the environment's own.

    Raises:
        UsageError: there is no such environment, it is live and not allowed to be, or nothing says where it is.
    """
    known = plug(venue).environments
    if not known:
        return given
    if not environment:
        if given.rest_url and (given.ws_url or plug(venue).facts.polls_ms):
            return given
        raise UsageError(
            f"Where is {venue}? Set environment to testnet, demo or live, or give rest_url and stream_url."
        )
    if environment == "live" and not allow_live:
        raise UsageError(
            f"{venue} is live, and live trading is not allowed; set allow_live = true to trade with money."
        )
    if environment not in known:
        raise UsageError(f"{venue} has no environment {environment}; use {', '.join(known)}.")
    own = known[environment]
    return Addresses(
        rest_url=given.rest_url or own.rest_url, ws_url=given.ws_url or own.ws_url,
        # Who gives an address of its own for the stream has orders there, too, unless it says otherwise.
        order_url=given.order_url or ("" if given.ws_url else own.order_url),
    )  # fmt: skip


def facts(venue: str) -> VenueFacts:
    """What a venue declares; raises UsageError when there is no such venue."""
    return plug(venue).facts


def decoder(venue: str) -> Decoder:
    """How a venue's bytes decode; raises UsageError when there is no such venue."""
    return plug(venue).decode


def sniffer(venue: str) -> Callable[[bytes], Sequence[Recorded]]:
    """How a venue's recorded files are taken apart; raises UsageError when there is no such venue."""
    return plug(venue).sniff


def names() -> tuple[str, ...]:
    """The venues that come with the program."""
    return tuple(_OURS)


def plug(venue: str) -> Plug:
    """Find a venue by name or dotted path.

    Raises:
        UsageError: there is no such venue.
    """
    if venue.startswith("ccxt:"):
        from adapters.generic.plug import plug_of

        return plug_of(venue)
    path = _OURS.get(venue, venue)
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise UsageError(
            f"There is no venue {venue!r}; use one of {', '.join(_OURS)}, ccxt:<id> or a path like my_module:PLUG."
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"The venue {venue!r} cannot be loaded ({error}); check module and attribute.") from error
    if not isinstance(found, Plug):
        raise UsageError(f"{venue!r} is no Plug of adapters.registry; make it one.")
    return found
