"""USDⓈ-M's statement of wallets, read: the wallet balance alone, nothing that is empty, nothing guessed at."""

from decimal import Decimal

import pytest

from adapters.binance.decode import decode
from adapters.binance_usdm.wallets import WALLETS_FORMAT, wallets
from streams.errors import BadPayload
from streams.schemas import Ignored


def test_a_wallet_is_what_it_has_without_unrealized_profit() -> None:
    """One below zero is one, too; an empty one is left out."""
    raw = b"""[
        {"accountAlias":"x","asset":"USDT","balance":"122607.35137903","crossWalletBalance":"23.72","crossUnPnl":"5"},
        {"asset":"BNB","balance":"-0.50000000"},
        {"asset":"USDC","balance":"0.00000000"}]"""
    assert wallets(WALLETS_FORMAT, raw) == {"USDT": Decimal("122607.35137903"), "BNB": Decimal("-0.5")}
    [fact] = decode(WALLETS_FORMAT, raw)
    assert isinstance(fact, Ignored)


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("binance.account", b"[]"),
        (WALLETS_FORMAT, b"{}"),
        (WALLETS_FORMAT, b"["),
        (WALLETS_FORMAT, b'[{"asset":"USDT"}]'),
        (WALLETS_FORMAT, b'[{"asset":"USDT","balance":"x"}]'),
    ],
)
def test_what_is_no_statement_of_wallets_is_refused(form: str, raw: bytes) -> None:
    """With a sentence; nothing else is raised."""
    with pytest.raises(BadPayload):
        wallets(form, raw)
