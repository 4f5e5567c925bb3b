"""The control surface: only for those with the token, and true."""

from decimal import Decimal

import aiohttp
import pytest

from adapters.simulated.control import Control
from adapters.simulated.faults import Faults


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic {token}", "Bearer {token}x", "{token}"])
@pytest.mark.parametrize("path", ["books", "faults"])
async def test_nobody_gets_in_without_the_token(process, header, path):
    """401 for a missing, wrong or half-right token."""
    headers = {"Authorization": header.format(token=process.settings.control_token)} if header else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{process.rest_url}/sim/{path}", headers=headers) as answer,
    ):
        assert answer.status == 401


@pytest.mark.parametrize(
    ("path", "document"),
    [("faults", {"cut_body": 7}), ("cut", {"how": "softly"}), ("clock", {}), ("house", {"symbol": "NOPE"})],
)
async def test_a_wrong_document_is_refused_with_a_sentence(process, path, document):
    """400 and what is wrong with it; nothing changes."""
    headers = {"Authorization": f"Bearer {process.settings.control_token}"}
    url = f"{process.rest_url}/sim/{path}"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=document) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


async def test_the_books_hold_every_order_and_trade(exchange, control, client_id):
    """Initial balances, balances, orders and trades add up, as exact text."""
    await control.house_order("BTCUSDT", "SELL", Decimal("0.00001"), price=Decimal(600000))
    params = {"clientOrderId": client_id, "timeInForce": "IOC"}
    await exchange.create_order("BTC/USDT", "limit", "buy", "0.00002", "600000", params)
    book = (await control.books("main"))["accounts"]["main"]
    order = next(each for each in book["orders"] if each["client_order_id"] == client_id)
    assert (order["status"], order["executed"], order["quote_executed"]) == ("EXPIRED", "0.00001", "6")
    trade = next(each for each in book["trades"] if each["order_id"] == order["order_id"])
    assert (trade["quantity"], trade["commission"], trade["commission_asset"]) == ("0.00001", "0.00000001", "BTC")
    wanted = {asset: Decimal(amount) for asset, amount in book["initial"].items()}
    for each in book["trades"]:
        sign = 1 if each["side"] == "BUY" else -1
        wanted["BTC"] += sign * Decimal(each["quantity"])
        wanted["USDT"] -= sign * Decimal(each["quote_quantity"])
        wanted[each["commission_asset"]] -= Decimal(each["commission"])
    held = {asset: Decimal(row["free"]) + Decimal(row["locked"]) for asset, row in book["balances"].items()}
    assert held == wanted


async def test_rates_are_set_and_told(control):
    """What was set is what is in force; a client may close and ask again."""
    await control.set_faults(Faults(cut_body=0.25))
    assert (await control.faults())["faults"]["cut_body"] == 0.25
    await control.close()
    assert set((await control.faults())["counts"]) >= {"accept_then_drop", "lookup_lag", "stream_cut"}


async def test_a_wrong_token_is_an_error_of_the_client(process):
    """The client raises, and shows no token."""
    async with Control(process.rest_url, "wrong" * 10) as wrong:
        with pytest.raises(aiohttp.ClientResponseError, match="401") as caught:
            await wrong.books()
        assert "wrong" not in str(caught.value) + repr(wrong)
