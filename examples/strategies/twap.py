"""A TWAP: one parent order in equal slices over time.

A slice's number is its identity and fixes its amount, so the slices can never add up to more than the parent, however
often it restarts. Slices that came due while it was down are sent after the restart; one that is an hour old expires.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from streams import BadIntent, Intents, IntentSpent, Place, Strategy, Tick
from streams.schemas import epoch_ms

LOOK_EVERY = timedelta(seconds=1)  # whether a slice is due: how late one may be


def twap(  # noqa: D103
    *, parent: str, start: datetime, side: Literal["buy", "sell"], quantity: Decimal, slices: int, every: timedelta,
    symbol: str = "BTC/USDT", lot: Decimal = Decimal("0.00001"),
) -> Strategy:  # fmt: skip
    app = Strategy(f"twap-{parent}")
    even = quantity / slices // lot * lot
    look = min(every, LOOK_EVERY)
    sent: dict[str, int] = {}  # account -> slices known to be published; forgotten with the process, which is harmless

    def part(account: str, number: int) -> Place:
        last = number == slices - 1
        return Place(
            account=account, strategy=app.name, signal_id=f"slice-{number}", signal_time=start + number * every,
            symbol=symbol, side=side, type="market", quantity=quantity - even * number if last else even,
        )  # fmt: skip

    @app.every(look / timedelta(seconds=1))
    async def send(tick: Tick, intents: Intents) -> None:
        due = min(slices, (tick.due_ms - epoch_ms(start)) // (every // timedelta(milliseconds=1)) + 1)
        done = sent.get(tick.account, 0)
        if due > done:
            answers = await intents.publish([part(tick.account, number) for number in range(done, due)])
            for answer in answers:
                # One that is forgotten was sent long ago; anything else leaves the parent short, and is to be seen.
                if isinstance(answer, BadIntent) and not isinstance(answer, IntentSpent):
                    raise answer
            sent[tick.account] = due

    return app


app = twap(  # another parent has another name and another start
    parent="example", start=datetime(2026, 11, 23, 10, tzinfo=UTC), side="buy", quantity=Decimal("0.06"), slices=6,
    every=timedelta(minutes=10),
)  # fmt: skip
