"""Pure: the venue with margin instead of holdings: orders lock margin in the quote asset, trades move positions.

Not modelled: margin of positions, funding and liquidation; leverage is 20 for everybody.
"""

from decimal import Decimal

from adapters.simulated.accounts import Account, commission
from adapters.simulated.exchange import Exchange
from adapters.simulated.market import Market
from adapters.simulated.matching import Side, Trade
from adapters.simulated.orders import Order, OrderType, Placement
from adapters.simulated.refusals import Refusal

LEVERAGE = 20
ZERO = Decimal(0)


class UsdmExchange(Exchange):
    """Perpetuals; an account is in one-way mode until it is set to have two positions a symbol."""

    def check(self, account: str, request: Placement) -> None:
        """Refuse what does not fit the account's position mode, too.

        Raises:
            Refusal: with the venue's own code.
        """
        held = self.accounts[account]
        if held.hedged == (request.position_side == "BOTH"):
            raise Refusal(-4061, "Order's position side does not match user's setting.")
        super().check(account, request)
        if request.reduce_only and not _reduces(held, request):
            raise Refusal(-2022, "ReduceOnly Order is rejected.")

    def _funds(self, market: Market, request: Placement) -> tuple[str, Decimal]:
        price = request.price if request.price is not None else market.last_price
        return market.rules.quote_asset, ZERO if request.reduce_only else _margin(price, request.quantity)

    def _settle(self, order: Order, trade: Trade, *, maker: bool) -> tuple[Decimal, str]:
        rules, account = self.markets[order.symbol].rules, self.accounts[order.account]
        asset = rules.quote_asset
        self._give_back(account, order, trade.quantity, asset)
        key = (order.symbol, order.position_side)
        signed = trade.quantity if order.side is Side.BUY else -trade.quantity
        account.positions[key] = account.positions.get(key, ZERO) + signed
        fee = commission(trade.price * trade.quantity, self.fees.maker if maker else self.fees.taker)
        account.receive(asset, -fee)
        return fee, asset

    def _release(self, market: Market, order: Order) -> None:
        self._give_back(self.accounts[order.account], order, order.remaining, market.rules.quote_asset)

    def _give_back(self, account: Account, order: Order, quantity: Decimal, asset: str) -> None:
        if not order.reduce_only:
            price = order.reserved if order.type is OrderType.MARKET else order.price
            account.unlock(asset, _margin(price, quantity))


def _margin(price: Decimal, quantity: Decimal) -> Decimal:
    return price * quantity / LEVERAGE


def _reduces(account: Account, request: Placement) -> bool:
    held = account.positions.get((request.symbol, request.position_side), ZERO)
    return held < 0 if request.side is Side.BUY else held > 0
