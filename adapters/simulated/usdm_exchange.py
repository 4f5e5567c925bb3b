"""Pure: the venue with margin instead of holdings: orders lock margin in the quote asset, trades move positions.

What a trade closes pays its profit into the wallet at once, as average cost has it.

Not modelled: margin of positions; a liquidation happens when it is asked for; leverage is 20 for everybody.
"""

from decimal import Decimal

from adapters.simulated.accounts import Account, commission
from adapters.simulated.exchange import Exchange
from adapters.simulated.margin import Position, replayed, traded
from adapters.simulated.market import Market
from adapters.simulated.matching import Side, TimeInForce, Trade
from adapters.simulated.orders import ExecutionType, Fill, Order, OrderType, Placement, Report, Status
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

    def liquidate(self, name: str, symbol: str, position_side: str, price: Decimal, now_ms: int) -> Report:
        """Close a position of an account by an order of the venue's own.

        Raises:
            Refusal: -2022, when there is none.
        """
        market, account = self.market(symbol), self.accounts[name]
        held = _held(account, symbol, position_side)
        if not held:
            raise Refusal(-2022, "There is no position to liquidate.")
        order_id = market.take_order_id()
        order = Order(
            account=name, symbol=symbol, order_id=order_id, client_order_id=f"autoclose-{order_id}",
            side=Side.SELL if held > 0 else Side.BUY, type=OrderType.LIMIT, time_in_force=TimeInForce.IOC, price=price,
            quantity=abs(held), executed=abs(held), quote_executed=abs(held) * price, status=Status.FILLED,
            created_ms=now_ms, updated_ms=now_ms, visible_at_ms=now_ms, position_side=position_side, reduce_only=True,
        )  # fmt: skip
        fee = commission(price * abs(held), self.fees.taker)
        fill = Fill(
            account=name, symbol=symbol, trade_id=market.take_trade_id(), order_id=order_id,
            client_order_id=order.client_order_id, side=order.side, price=price, quantity=abs(held), commission=fee,
            commission_asset=market.rules.quote_asset, maker=False, time_ms=now_ms, visible_at_ms=now_ms,
        )  # fmt: skip
        self._move(account, (symbol, position_side), -held, price)
        account.receive(market.rules.quote_asset, -fee)
        self.history.put(order)
        self.history.add(fill)
        return self._report(order, ExecutionType.TRADE, now_ms, fill=fill)

    def _unsettle(self, fill: Fill) -> None:
        order, account = self.history.get(fill.account, fill.symbol, fill.order_id), self.accounts[fill.account]
        key = (fill.symbol, order.position_side)
        left = [
            (one.quantity if one.side is Side.BUY else -one.quantity, one.price)
            for one in self.history.everything(fill.account)[1]
            if one.symbol == fill.symbol and self._side_of(one) == order.position_side
        ]
        was, account.positions[key] = account.positions[key], replayed(left)
        # The venue's books are as if the trade had never been.
        account.receive(fill.commission_asset, account.positions[key].realized - was.realized + fill.commission)

    def _side_of(self, fill: Fill) -> str:
        return self.history.get(fill.account, fill.symbol, fill.order_id).position_side

    def _move(self, account: Account, key: tuple[str, str], signed: Decimal, price: Decimal) -> None:
        was = account.positions.get(key, Position())
        account.positions[key] = traded(was, signed, price)
        account.receive(self.markets[key[0]].rules.quote_asset, account.positions[key].realized - was.realized)

    def _funds(self, market: Market, request: Placement) -> tuple[str, Decimal]:
        price = request.price if request.price is not None else market.last_price
        return market.rules.quote_asset, ZERO if request.reduce_only else _margin(price, request.quantity)

    def _settle(self, order: Order, trade: Trade, *, maker: bool) -> tuple[Decimal, str]:
        rules, account = self.markets[order.symbol].rules, self.accounts[order.account]
        asset = rules.quote_asset
        self._give_back(account, order, trade.quantity, asset)
        key = (order.symbol, order.position_side)
        signed = trade.quantity if order.side is Side.BUY else -trade.quantity
        self._move(account, key, signed, trade.price)
        fee = commission(trade.price * trade.quantity, self.fees.maker if maker else self.fees.taker)
        account.receive(asset, -fee)
        return fee, asset

    def _release(self, market: Market, order: Order) -> None:
        self._give_back(self.accounts[order.account], order, order.remaining, market.rules.quote_asset)

    def _give_back(self, account: Account, order: Order, quantity: Decimal, asset: str) -> None:
        if not order.reduce_only:
            price = order.reserved if order.type is OrderType.MARKET else order.price
            account.unlock(asset, _margin(price, quantity))


def _held(account: Account, symbol: str, position_side: str) -> Decimal:
    return account.positions.get((symbol, position_side), Position()).amount


def _margin(price: Decimal, quantity: Decimal) -> Decimal:
    return price * quantity / LEVERAGE


def _reduces(account: Account, request: Placement) -> bool:
    held = _held(account, request.symbol, request.position_side)
    return held < 0 if request.side is Side.BUY else held > 0
