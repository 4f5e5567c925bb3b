"""The proof on this machine: which exchanges of ccxt carry our id, and which are refused."""

import pytest

from adapters import registry
from adapters.ccxt_unified import CcxtUnified
from adapters.credentials import Credentials
from adapters.generic.probe import NAME, VENUE_ID, Nowhere, Request, check, judge_place, names_it, probe
from streams.errors import UsageError


@pytest.mark.parametrize(
    ("exchange_id", "cancels_by_name"),
    [("binance", True), ("okx", True), ("bitget", True), ("mexc", True), ("kucoin", True), ("gate", False)],
)
async def test_an_exchange_that_carries_our_id_both_ways_is_taken(exchange_id: str, *, cancels_by_name: bool) -> None:
    """At Gate a cancel by our id asks for order None, so there the exchange's id is needed."""
    found = await probe(exchange_id)
    assert (found.lacks, found.cancels_by_name) == ("", cancels_by_name)


@pytest.mark.parametrize(
    ("exchange_id", "why"),
    [
        ("coinbase", "does not stand in the request that places an order"),  # ccxt sends an id of its own
        ("kraken", "cannot be looked up by our client order id"),  # ccxt asks for transaction None
        ("deribit", "cannot be looked up by our client order id"),
        ("bybit", "cannot be looked up by our client order id"),
        ("phemex", "amounts of an order"),  # scaled
        ("bitstamp", "list ended orders"),
        ("hyperliquid", "walletAddress"),
    ],
)
async def test_an_exchange_that_drops_it_is_refused_with_what_is_missing(exchange_id: str, why: str) -> None:
    """Before any key is used, and nothing is asked of the exchange."""
    assert why in (await probe(exchange_id)).lacks


async def test_it_is_refused_when_it_is_opened() -> None:
    """In one sentence that says what to do."""
    where = registry.VenueSettings(venue="ccxt:coinbase", credentials=Credentials("key", "secret"))
    with pytest.raises(UsageError, match=r"ccxt:coinbase cannot be traded at: our client order id .* choose another"):
        await registry.open_venue(where, lambda: 0)


def test_it_is_refused_where_no_loop_runs() -> None:
    """As `fillonce check` asks it."""
    with pytest.raises(UsageError, match="ccxt:kraken cannot be traded at"):
        check("kraken")
    registry.plug("ccxt:okx").check()


async def test_nothing_of_a_probe_can_leave_this_machine() -> None:
    """Not even where an address of ccxt's was overlooked: no name is resolved."""
    rest = await CcxtUnified.open("kraken", Credentials("", ""), timeout_ms=1_000, options={}, resolver=Nowhere())
    done = await rest.perform(lambda x: x.fetch_time())
    await rest.close()
    assert done.failure is not None
    assert not done.failure.sent
    with pytest.raises(OSError, match=r"api\.kraken\.com"):
        await Nowhere().resolve("api.kraken.com", 443)


def written(said: str, headers: str = "") -> Request:
    """A request."""
    return Request(said, f"{said}\n{headers}")


def test_an_order_needs_our_id_and_its_amounts_in_one_request() -> None:
    """The id may stand in a header, the amounts in address or body; a number within another is none."""
    good = written(f"/order\nid={NAME}&q=0.5&p=100.00")
    assert judge_place([written("/time\n"), good], "0.5", "100") == ""
    assert judge_place([written("/order\nq=0.5&p=100", f"x-id: {NAME}")], "0.5", "100") == ""
    assert "client order id" in judge_place([written("/order\nq=0.5&p=100")], "0.5", "100")
    assert "amounts" in judge_place([written(f"/order\nid={NAME}&q=10.5&p=100")], "0.5", "100")
    assert "amounts" in judge_place([written(f"/order\nid={NAME}"), written("/order\nq=0.5&p=100")], "0.5", "100")


@pytest.mark.parametrize("nothing", ["orders/None", '{"id":null}', "id=undefined"])
def test_a_look_up_of_nothing_is_none(nothing: str) -> None:
    """Though our id stands beside it."""
    assert names_it([written(f"/order?name={NAME}\n")])
    assert not names_it([written(f"/order?name={NAME}&{nothing}\n")])
    assert not names_it([written(f"/order?x={nothing}\n")])
    assert not names_it([])
    assert names_it([written(f"/orders/{VENUE_ID}\n")], VENUE_ID)
