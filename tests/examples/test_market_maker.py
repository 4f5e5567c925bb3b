"""The market maker in the whole pipeline: it quotes around the mark, and a restart leaves no quote behind."""

from decimal import Decimal
from typing import Any

import pytest

from examples.strategies.market_maker import market_maker

LIVE = {"open", "partially_filled"}


def quotes(fillonce) -> list[Any]:
    """Side and price of what rests."""
    resting = [order for order in fillonce.orders("market_maker") if order.status in LIVE]
    return sorted((order.terms.side, Decimal(order.sent.get("price", order.terms.price))) for order in resting)


def test_it_quotes_again_when_the_mark_moves_or_a_quote_trades(fillonce):
    """A mark that hardly moved changes nothing; a trade brings both quotes back; the position bounds the side."""
    fillonce.run(market_maker(position_max=Decimal("0.009")))
    fillonce.mark(60_000)
    fillonce.until(lambda: quotes(fillonce) == [("buy", 59_940), ("sell", 60_060)])
    fillonce.mark(60_010)
    fillonce.mark(61_000)
    fillonce.until(lambda: quotes(fillonce) == [("buy", 60_939), ("sell", 61_061)])
    assert len(fillonce.orders("market_maker")) == 4
    fillonce.house("SELL", "0.01", price=60_939)
    fillonce.until(lambda: quotes(fillonce) == [("sell", 61_061)])
    fillonce.settled()
    fillonce.mark(61_001)
    # What it holds now is as much as it may: it only offers.
    fillonce.until(lambda: quotes(fillonce) == [("sell", 61_062)])
    fillonce.settled()
    assert len(fillonce.orders("market_maker")) == 5


@pytest.mark.fillonce(faults={"accept_then_drop": 0.3, "duplicated_execution": 0.5})
def test_what_rests_after_a_kill_is_taken_back_and_quoted_anew(fillonce):
    """Also what the mark left behind while it was down; never more than one quote a side."""
    fillonce.run(first := market_maker())
    fillonce.mark(60_000)
    fillonce.until(lambda: len(quotes(fillonce)) == 2)
    fillonce.mark(61_000)
    fillonce.stop(first, kill=True)
    fillonce.mark(62_000)
    fillonce.run(market_maker())
    fillonce.mark(62_100)
    fillonce.until(lambda: quotes(fillonce) == [("buy", Decimal("62037.90")), ("sell", Decimal("62162.10"))])
    fillonce.settled()
    assert len(quotes(fillonce)) == 2


def test_a_quote_that_somebody_else_took_back_is_quoted_again(fillonce):
    """With the next mark, though it has hardly moved."""
    fillonce.run(market_maker())
    fillonce.mark(60_000)
    fillonce.until(lambda: len(quotes(fillonce)) == 2)
    [bid] = [order for order in fillonce.orders("market_maker") if order.terms.side == "buy"]
    fillonce.cancel(bid)
    fillonce.until(lambda: quotes(fillonce) == [("sell", 60_060)])
    fillonce.settled()
    fillonce.mark(60_010)
    fillonce.until(lambda: quotes(fillonce) == [("buy", Decimal("59949.99")), ("sell", Decimal("60070.01"))])
