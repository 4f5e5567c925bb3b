"""Quotes both sides of the newest mark, and again when the mark has moved or a quote has traded.

Nothing has to survive a restart: what still rests is taken back at the start, and the next mark is quoted.
"""

from decimal import Decimal

from streams import BadIntent, Cancel, Intents, Mark, OrderChanged, Place, PositionChanged, Snapshot, Strategy
from streams.schemas import TERMINAL, Side, from_ms

SIGNS: dict[Side, int] = {"buy": 1, "sell": -1}


def market_maker(  # noqa: D103
    *, symbol: str = "BTC/USDT", quantity: Decimal = Decimal("0.01"), half_spread: Decimal = Decimal("0.001"),
    move: Decimal = Decimal("0.0005"), position_max: Decimal = Decimal("0.05"),
) -> Strategy:  # fmt: skip
    app = Strategy("market_maker")
    quoted: dict[str, Mark] = {}  # account -> the mark whose quotes rest
    broken: set[str] = set()  # accounts whose quotes are not whole any more
    held: dict[str, Decimal] = {}

    @app.on(Snapshot)
    async def begin(snapshot: Snapshot) -> list[Cancel]:
        quoted.pop(snapshot.account, None)
        held[snapshot.account] = snapshot.positions[symbol].quantity if symbol in snapshot.positions else Decimal(0)
        return [Cancel(account=snapshot.account, client_order_id=one.client_order_id) for one in snapshot.orders]

    @app.on(Mark)
    async def quote(mark: Mark, intents: Intents) -> None:
        last = quoted.get(mark.account)
        still = last is not None and mark.account not in broken and abs(mark.price / last.price - 1) < move
        if mark.symbol != symbol or still:
            return
        old = [
            Cancel(account=mark.account, strategy=app.name, signal_id=last.event_id, leg=leg) for leg in SIGNS if last
        ]
        # The mark's id makes the identity: handling it again, after whatever went wrong, makes no second quote.
        new = [
            Place(
                account=mark.account, strategy=app.name, signal_id=mark.event_id, leg=side,
                signal_time=from_ms(mark.at_ms), symbol=symbol, side=side, type="limit", quantity=quantity,
                price=mark.price * (1 - sign * half_spread), post_only=True, rounding="nearest",
            )
            for side, sign in SIGNS.items()
            if sign * held.get(mark.account, Decimal(0)) < position_max
        ]  # fmt: skip
        for answer in await intents.publish([*old, *new]):
            if isinstance(answer, BadIntent):
                raise answer
        quoted[mark.account] = mark
        broken.discard(mark.account)

    @app.on(OrderChanged)
    async def count(order: OrderChanged) -> None:
        # One that traded, or is gone without having been taken back here: what rests is not what was quoted.
        last = quoted.get(order.account)
        if order.filled or (order.status in TERMINAL and last is not None and order.signal_id == last.event_id):
            broken.add(order.account)

    @app.on(PositionChanged)
    async def hold(position: PositionChanged) -> None:
        if position.symbol == symbol:
            held[position.account] = position.quantity

    return app


app = market_maker()
