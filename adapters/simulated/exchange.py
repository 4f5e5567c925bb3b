"""Pure: the venue itself. Takes a well-formed request and the time, moves books and balances, returns what happened.

Commission is taken from what is received: base asset on a buy, quote asset on a sell. A client order id must be unique
among the OPEN orders of an account and symbol and may be used again after that order closed, as Binance documents.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import assert_never

import msgspec

from adapters.simulated import refusals, symbols
from adapters.simulated.accounts import Account, Fees, commission
from adapters.simulated.history import History
from adapters.simulated.market import Market, Quote
from adapters.simulated.matching import (
    Accepted,
    Event,
    Expired,
    Rejected,
    Side,
    Submission,
    Trade,
)
from adapters.simulated.orders import (
    Cancellation,
    ExecutionType,
    Fill,
    Order,
    OrderType,
    Outcome,
    Placement,
    Report,
    Status,
)
from adapters.simulated.symbols import Symbol

ZERO = Decimal(0)
_FIRST_EXECUTION_ID = 90_000_001


class Exchange:
    """Markets, accounts and their history. The house trades without an account, so that a book is never empty."""

    def __init__(
        self, rules: Iterable[Symbol], balances: Mapping[str, Mapping[str, Decimal]], fees: Fees | None = None
    ) -> None:
        self.markets = {rule.symbol: Market(rule) for rule in rules}
        self.accounts = {name: Account(name, start) for name, start in balances.items()}
        self.history = History()
        self.fees = fees or Fees()
        self._next_execution_id = _FIRST_EXECUTION_ID

    def market(self, symbol: str) -> Market:
        """A symbol's market.

        Raises:
            Refusal: -1121.
        """
        if symbol not in self.markets:
            raise refusals.bad_symbol()
        return self.markets[symbol]

    def check(self, account: str, request: Placement) -> None:
        """Refuse what the venue would refuse before its matching engine sees it.

        Raises:
            Refusal: with the venue's own code.
        """
        rules = self.market(request.symbol).rules
        market = request.type is OrderType.MARKET
        if request.price is not None:
            symbols.check_price(rules, request.price)
        symbols.check_quantity(rules, request.quantity, market=market)
        price = request.price if request.price is not None else self.market(request.symbol).last_price
        symbols.check_notional(rules, price, request.quantity, market=market)
        if not market and self.history.open_count(account, request.symbol) >= rules.max_open_orders:
            raise refusals.filter_failure("MAX_NUM_ORDERS")

    def place(self, account: str, request: Placement, now_ms: int, lag_ms: int = 0) -> Outcome:
        """Accept an order and match it.

        Args:
            account: who places it.
            request: what is asked for.
            now_ms: the venue's clock.
            lag_ms: how long look-ups do not show the order and its fills.

        Raises:
            Refusal: with the venue's own code; nothing has changed then.
        """
        self.check(account, request)
        if self.history.open_order(account, request.symbol, None, request.client_order_id) is not None:
            raise refusals.duplicate_order()
        market = self.market(request.symbol)
        asset, amount = self._funds(market, request)
        self.accounts[account].lock(asset, amount)
        order = _new_order(account, request, market.take_order_id(), now_ms, lag_ms)
        order = msgspec.structs.replace(order, reserved=market.last_price)
        events = market.book.submit(_submission(order))
        if isinstance(events[0], Rejected):
            self.accounts[account].unlock(asset, amount)
            raise refusals.would_take()
        market.owners[order.order_id] = account
        self.history.put(order)
        reports = [self._report(order, ExecutionType.NEW, now_ms), *self._apply(market, events, now_ms, lag_ms)]
        return Outcome(self.history.get(account, request.symbol, order.order_id), tuple(reports))

    def cancel(self, account: str, request: Cancellation, now_ms: int) -> Outcome:
        """Take an open order off the book.

        Raises:
            Refusal: -2011, when no such order is open.
        """
        market = self.market(request.symbol)
        order = self.history.open_order(account, request.symbol, request.order_id, request.client_order_id)
        if order is None:
            raise refusals.unknown_order()
        market.book.cancel(order.order_id)
        closed = self._close(market, order, Status.CANCELED, now_ms)
        report = self._report(closed, ExecutionType.CANCELED, now_ms, cancel_id=request.cancel_id)
        return Outcome(closed, (report,))

    def would_take(self, order: Order) -> bool:
        """Whether a post-only order would trade at once."""
        return order.type is OrderType.LIMIT_MAKER and self.market(order.symbol).book.crosses(_submission(order))

    def change(self, order: Order, now_ms: int, lag_ms: int = 0) -> Outcome:
        """Give a resting order other terms; it is matched anew, at the end of its price's queue.

        Raises:
            Refusal: -2010, when there is too little free; the order is as it was.
        """
        market, account = self.market(order.symbol), self.accounts[order.account]
        before = self.history.get(order.account, order.symbol, order.order_id)
        self._release(market, before)
        left = Placement(
            order.symbol, order.side, order.type, order.remaining, order.price, order.time_in_force,
            order.client_order_id, order.position_side, order.reduce_only,
        )  # fmt: skip
        try:
            account.lock(*self._funds(market, left))
        except refusals.Refusal:
            account.lock(
                *self._funds(market, msgspec.structs.replace(left, quantity=before.remaining, price=before.price))
            )
            raise
        market.book.cancel(order.order_id)
        self.history.put(order)
        events = market.book.submit(msgspec.structs.replace(_submission(order), quantity=order.remaining))
        reports = [self._report(order, ExecutionType.AMENDMENT, now_ms), *self._apply(market, events, now_ms, lag_ms)]
        return Outcome(self.history.get(order.account, order.symbol, order.order_id), tuple(reports))

    def house(self, symbol: str, quote: Quote, now_ms: int, lag_ms: int = 0) -> tuple[Report, ...]:
        """Let the house place an order, crossing clients' orders if it does. Returns the clients' reports."""
        market = self.market(symbol)
        order_id = market.take_order_id()
        events = market.book.submit(Submission(order_id, quote.side, quote.quantity, quote.price, quote.time_in_force))
        if market.book.resting(order_id) is not None:
            market.house.add(order_id)
        return tuple(self._apply(market, events, now_ms, lag_ms))

    def clear_house(self, symbol: str) -> None:
        """Take all of the house's quotes off a book."""
        market = self.market(symbol)
        for order_id in market.house:
            market.book.cancel(order_id)
        market.house.clear()

    def bust(self, account: str, symbol: str, trade_id: int, now_ms: int) -> None:
        """Take a trade of an account back, as if it had never been; nothing is told of it, as venues do it.

        Raises:
            Refusal: -2013, when there is no such trade.
        """
        fill = self.history.take(account, symbol, trade_id)
        self._unsettle(fill)
        order = self.history.get(account, symbol, fill.order_id)
        executed, quote = order.executed - fill.quantity, order.quote_executed - fill.price * fill.quantity
        self.history.put(msgspec.structs.replace(order, executed=executed, quote_executed=quote, updated_ms=now_ms))

    def _unsettle(self, fill: Fill) -> None:
        rules, account = self.markets[fill.symbol].rules, self.accounts[fill.account]
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        account.receive(rules.base_asset, -signed)
        account.receive(rules.quote_asset, signed * fill.price)
        account.receive(fill.commission_asset, fill.commission)

    def _apply(self, market: Market, events: tuple[Event, ...], now_ms: int, lag_ms: int) -> list[Report]:
        reports: list[Report] = []
        for event in events:
            match event:
                case Trade():
                    reports += self._trade(market, event, now_ms, lag_ms)
                case Expired(order_id=order_id):
                    if (owner := market.owners.get(order_id)) is not None:
                        order = self.history.get(owner, market.rules.symbol, order_id)
                        closed = self._close(market, order, Status.EXPIRED, now_ms)
                        reports.append(self._report(closed, ExecutionType.EXPIRED, now_ms))
                case Accepted() | Rejected():
                    pass
                case _:
                    assert_never(event)
        return reports

    def _trade(self, market: Market, trade: Trade, now_ms: int, lag_ms: int) -> list[Report]:
        trade_id = market.take_trade_id()
        market.last_price = trade.price
        if market.book.resting(trade.maker_order_id) is None:
            market.house.discard(trade.maker_order_id)
        reports = []
        for order_id in (trade.taker_order_id, trade.maker_order_id):
            if (owner := market.owners.get(order_id)) is None:
                continue
            order = self.history.get(owner, market.rules.symbol, order_id)
            fill = self._fill(order, trade, trade_id, now_ms, lag_ms)
            filled = _filled(order, fill)
            self.history.put(filled)
            self.history.add(fill)
            if filled.status is Status.FILLED:
                del market.owners[order_id]
            reports.append(self._report(filled, ExecutionType.TRADE, now_ms, fill=fill))
        return reports

    def _fill(self, order: Order, trade: Trade, trade_id: int, now_ms: int, lag_ms: int) -> Fill:
        maker = order.order_id == trade.maker_order_id
        self.accounts[order.account].updated_ms = now_ms
        fee, fee_asset = self._settle(order, trade, maker=maker)
        return Fill(
            account=order.account,
            symbol=order.symbol,
            trade_id=trade_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price=trade.price,
            quantity=trade.quantity,
            commission=fee,
            commission_asset=fee_asset,
            maker=maker,
            time_ms=now_ms,
            visible_at_ms=now_ms + lag_ms,
        )

    def _settle(self, order: Order, trade: Trade, *, maker: bool) -> tuple[Decimal, str]:
        """Move what a trade moves; the fee and its asset."""
        rules, account = self.markets[order.symbol].rules, self.accounts[order.account]
        cost = trade.price * trade.quantity
        if order.side is Side.BUY:
            paid, paid_asset, got, got_asset = cost, rules.quote_asset, trade.quantity, rules.base_asset
            if order.type is not OrderType.MARKET:
                account.unlock(paid_asset, (order.price - trade.price) * trade.quantity)
        else:
            paid, paid_asset, got, got_asset = trade.quantity, rules.base_asset, cost, rules.quote_asset
        fee = commission(got, self.fees.maker if maker else self.fees.taker)
        account.spend_locked(paid_asset, paid)
        account.receive(got_asset, got - fee)
        return fee, got_asset

    def _close(self, market: Market, order: Order, status: Status, now_ms: int) -> Order:
        self._release(market, order)
        self.accounts[order.account].updated_ms = now_ms
        closed = msgspec.structs.replace(order, status=status, updated_ms=now_ms)
        self.history.put(closed)
        del market.owners[order.order_id]
        return closed

    def _release(self, market: Market, order: Order) -> None:
        """Give back what the rest of an order had locked."""
        account = self.accounts[order.account]
        if order.side is Side.SELL:
            account.unlock(market.rules.base_asset, order.remaining)
        elif order.type is not OrderType.MARKET:
            account.unlock(market.rules.quote_asset, order.price * order.remaining)

    def _funds(self, market: Market, request: Placement) -> tuple[str, Decimal]:
        """Asset and amount an order must lock; a market buy needs exactly what it will pay."""
        if request.side is Side.SELL:
            return market.rules.base_asset, request.quantity
        if request.price is not None:
            return market.rules.quote_asset, request.price * request.quantity
        cost, wanted = ZERO, request.quantity
        for price, quantity in market.book.sweep(Side.BUY, None):
            taken = min(wanted, quantity)
            cost, wanted = cost + price * taken, wanted - taken
            if not wanted:
                break
        return market.rules.quote_asset, cost

    def _report(
        self, order: Order, execution: ExecutionType, now_ms: int, fill: Fill | None = None, cancel_id: str = ""
    ) -> Report:
        self._next_execution_id += 1
        return Report(self._next_execution_id - 1, execution, order, now_ms, fill, cancel_id)


def _new_order(account: str, request: Placement, order_id: int, now_ms: int, lag_ms: int) -> Order:
    return Order(
        account=account,
        symbol=request.symbol,
        order_id=order_id,
        client_order_id=request.client_order_id,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        price=request.price or ZERO,
        quantity=request.quantity,
        executed=ZERO,
        quote_executed=ZERO,
        status=Status.NEW,
        created_ms=now_ms,
        updated_ms=now_ms,
        visible_at_ms=now_ms + lag_ms,
        position_side=request.position_side,
        reduce_only=request.reduce_only,
    )


def _submission(order: Order) -> Submission:
    price = None if order.type is OrderType.MARKET else order.price
    post_only = order.type is OrderType.LIMIT_MAKER
    return Submission(order.order_id, order.side, order.quantity, price, order.time_in_force, post_only)


def _filled(order: Order, fill: Fill) -> Order:
    executed = order.executed + fill.quantity
    return msgspec.structs.replace(
        order,
        executed=executed,
        quote_executed=order.quote_executed + fill.price * fill.quantity,
        status=Status.FILLED if executed == order.quantity else Status.PARTIALLY_FILLED,
        updated_ms=fill.time_ms,
    )
