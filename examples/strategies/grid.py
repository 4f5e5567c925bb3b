"""A grid: offers above a middle, bids below it; what fills is answered one step on, on the other side.

Every identity follows from the level or from the order that filled, so laying the grid again lays nothing twice.
"""

from datetime import UTC, datetime
from decimal import Decimal

from streams import BadIntent, Fill, Intents, IntentSpent, Place, Snapshot, Strategy

BEGAN, ENDS = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)


def grid(  # noqa: D103
    *, name: str = "grid", symbol: str = "BTC/USDT", middle: Decimal = Decimal(60_000), step: Decimal = Decimal(100),
    levels: int = 3, quantity: Decimal = Decimal("0.01"),
) -> Strategy:  # fmt: skip
    app = Strategy(name)  # another name is another grid

    def order(account: str, signal_id: str, level: int, *, buy: bool) -> Place:
        return Place(
            account=account, strategy=name, signal_id=signal_id, leg=str(level), signal_time=BEGAN, valid_until=ENDS,
            symbol=symbol, side="buy" if buy else "sell", type="limit", quantity=quantity, price=middle + level * step,
        )  # fmt: skip

    @app.on(Snapshot)
    async def lay(snapshot: Snapshot, intents: Intents) -> None:
        levels_laid = [one for one in range(-levels, levels + 1) if one]
        answers = await intents.publish([order(snapshot.account, "start", one, buy=one < 0) for one in levels_laid])
        for answer in answers:
            # One that ended so long ago that it is forgotten was laid all the same; anything else is a grid with holes.
            if isinstance(answer, BadIntent) and not isinstance(answer, IntentSpent):
                raise answer

    @app.on(Fill)
    async def turn(fill: Fill) -> Place | None:
        if fill.status != "filled":
            return None  # of a partial fill the rest still rests
        up = fill.side == "buy"
        return order(fill.account, f"after-{fill.client_order_id}", int(fill.leg) + (1 if up else -1), buy=not up)

    return app


app = grid()
