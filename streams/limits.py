"""Limits of an account as its settings name them. Pure; `consumers.limits` holds orders against them."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from streams.money import in_bounds

EVERY = "*"  # stands for every symbol that has no entry of its own
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an order must keep before it is sent; what is not set is not limited.

    Attributes:
        quantity_max: symbol (or `*`) -> largest quantity of one order, in base units.
        notional_max: symbol (or `*`) -> largest price times quantity of one order, in quote units.
        position_max: symbol (or `*`) -> largest position, long or short, with everything sent executed.
        open_orders_max: orders of the account that are sent and have not ended.
        open_orders_strategy_max: the same of one strategy.
        orders_per_second_max: orders of one strategy sent within one second of the server's clock.
        price_collar: largest distance of a limit price from the reference price, as a share of it.
        mark_max_age_ms: an older reference price is none.
    """

    quantity_max: dict[str, Decimal] = {}
    notional_max: dict[str, Decimal] = {}
    position_max: dict[str, Decimal] = {}
    open_orders_max: Count | None = None
    open_orders_strategy_max: Count | None = None
    orders_per_second_max: Count | None = None
    price_collar: Decimal | None = None
    mark_max_age_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 10_000

    def __post_init__(self) -> None:
        """Refuse amounts that limit nothing; msgspec turns the sentence into a ValidationError."""
        for name in ("quantity_max", "notional_max", "position_max"):
            for symbol, amount in getattr(self, name).items():
                if not in_bounds(amount):
                    raise ValueError(f"{name} of {symbol} must be a positive decimal, not {amount}")
        if self.price_collar is not None and not in_bounds(self.price_collar):
            raise ValueError(f"price_collar must be a positive decimal, not {self.price_collar}")

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return self != Limits(mark_max_age_ms=self.mark_max_age_ms)


def limit_of(limits: dict[str, Decimal], symbol: str) -> Decimal | None:
    """The limit of a symbol: its own, else that of every symbol, else None."""
    return limits.get(symbol, limits.get(EVERY))
