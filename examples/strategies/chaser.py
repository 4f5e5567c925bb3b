"""An order chaser: one order that rests at the mark and is amended towards it until all of it has traded.

It stays one order with one identity, so nothing can trade twice: what an amend asks for is the whole, executions so
far included. After a restart the snapshot says where it rests; an amend whose fate nobody knows is simply asked again.
"""

from contextlib import suppress
from decimal import Decimal
from typing import Literal

from streams import (
    Amend,
    IntentConflict,
    Intents,
    IntentSpent,
    Mark,
    OrderChanged,
    Place,
    Snapshot,
    Strategy,
)
from streams.schemas import TERMINAL, from_ms


def chaser(  # noqa: D103
    *, parent: str, account: str, side: Literal["buy", "sell"], quantity: Decimal, symbol: str = "BTC/USDT",
    move: Decimal = Decimal("0.0005"),
) -> Strategy:  # fmt: skip
    app = Strategy(f"chaser-{parent}", accounts=[account])
    resting: dict[str, Decimal] = {}  # where the order was last asked to be; empty while it does not rest
    revisions: dict[str, int] = {}

    @app.on(Snapshot)
    async def resume(snapshot: Snapshot) -> None:
        resting.clear()
        for order in snapshot.orders:
            if order.price is not None:
                resting[parent] = order.price
                revisions[parent] = max(order.state.revision, order.amend.revision if order.amend else 0)

    @app.on(Mark)
    async def follow(mark: Mark, intents: Intents) -> None:
        if mark.symbol != symbol:
            return
        if parent not in revisions:
            # The parent of an earlier life has its price: another one under its identity is refused, and it stands.
            with suppress(IntentConflict, IntentSpent):
                await intents.place(
                    Place(
                        account=account, strategy=app.name, signal_id=parent, signal_time=from_ms(mark.at_ms),
                        symbol=symbol, side=side, type="limit", quantity=quantity, price=mark.price, rounding="nearest",
                    )
                )  # fmt: skip
                resting[parent] = mark.price
            revisions.setdefault(parent, 0)
        elif parent in resting and abs(mark.price / resting[parent] - 1) > move:
            revision = revisions[parent] + 1
            await intents.amend(
                Amend(
                    account=account, strategy=app.name, signal_id=parent, revision=revision, quantity=quantity,
                    price=mark.price, signal_time=from_ms(mark.at_ms), rounding="nearest",
                )
            )  # fmt: skip
            resting[parent], revisions[parent] = mark.price, revision

    @app.on(OrderChanged)
    async def end(order: OrderChanged) -> None:
        if order.status in TERMINAL:
            resting.pop(order.signal_id, None)

    return app


app = chaser(parent="example", account="binance.main", side="buy", quantity=Decimal("0.05"))
