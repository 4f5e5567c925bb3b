"""An order chaser: one parent that rests at the mark and follows it until all of it has traded.

The next leg is placed when the last has ended, for what the venue says is left of it, so the legs never overlap. A
leg's end is handled again after a crash; with a newer mark that would be another order under the same identity, which
is refused: the first one stands.
"""

from contextlib import suppress
from decimal import Decimal
from typing import Literal

from streams import Cancel, IntentConflict, Intents, Mark, OrderChanged, Place, Snapshot, Strategy
from streams.schemas import from_ms


def chaser(  # noqa: C901, D103 - four handlers over two memories
    *, parent: str, account: str, side: Literal["buy", "sell"], quantity: Decimal, symbol: str = "BTC/USDT",
    move: Decimal = Decimal("0.0005"),
) -> Strategy:  # fmt: skip
    app = Strategy(f"chaser-{parent}", accounts=[account])
    market: dict[str, Decimal] = {}
    resting: dict[str, Decimal] = {}  # leg -> its price

    async def place(leg: int, left: Decimal, at_ms: int, intents: Intents) -> None:
        terms = Place(
            account=account, strategy=app.name, signal_id=parent, leg=str(leg), signal_time=from_ms(at_ms),
            symbol=symbol, side=side, type="limit", quantity=left, price=market[symbol], rounding="nearest",
        )  # fmt: skip
        with suppress(IntentConflict):
            await intents.place(terms)
            resting[terms.leg] = market[symbol]

    @app.on(Snapshot)
    async def begin(snapshot: Snapshot, intents: Intents) -> None:
        market.update(snapshot.marks)
        resting.clear()
        for order in snapshot.orders:
            if order.terms and order.terms.price:
                resting[order.terms.leg] = order.terms.price
        if not resting and symbol in market:
            await place(0, quantity, snapshot.at_ms, intents)

    @app.on(Mark)
    async def follow(mark: Mark, intents: Intents) -> None:
        first, market[mark.symbol] = symbol not in market, mark.price
        if first and mark.symbol == symbol:
            await place(0, quantity, mark.at_ms, intents)
        far = [leg for leg, price in resting.items() if abs(market[symbol] / price - 1) > move]
        await intents.publish([Cancel(account=account, strategy=app.name, signal_id=parent, leg=leg) for leg in far])

    @app.on(OrderChanged)
    async def go_on(order: OrderChanged, intents: Intents) -> None:
        if order.status in ("filled", "rejected"):
            resting.pop(order.leg, None)
        elif order.status in ("cancelled", "expired") and order.quantity:
            if order.quantity > order.traded:
                await place(int(order.leg) + 1, order.quantity - order.traded, order.at_ms, intents)
            resting.pop(order.leg, None)

    return app


app = chaser(parent="example", account="binance.main", side="buy", quantity=Decimal("0.05"))
