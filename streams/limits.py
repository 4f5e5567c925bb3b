"""Limits of an account as its settings name them. Pure; `consumers.limits` holds orders against them."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from streams.money import in_bounds

EVERY = "*"  # stands for every symbol that has no entry of its own
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class StrategyLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the orders of one strategy must keep beside the account's limits; the stricter one holds.

    Attributes:
        quantity_max: symbol (or `*`) -> largest quantity of one order, in base units.
        notional_max: symbol (or `*`) -> largest price times quantity of one order, in quote units.
        open_orders_max: orders that are sent and have not ended.
        orders_per_second_max: orders sent within one second of the server's clock.
    """

    quantity_max: dict[str, Decimal] = {}
    notional_max: dict[str, Decimal] = {}
    open_orders_max: Count | None = None
    orders_per_second_max: Count | None = None

    def __post_init__(self) -> None:
        """Refuse amounts that limit nothing."""
        _check_amounts(self)


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
        strategies: by name, limits of their own.
    """

    quantity_max: dict[str, Decimal] = {}
    notional_max: dict[str, Decimal] = {}
    position_max: dict[str, Decimal] = {}
    open_orders_max: Count | None = None
    open_orders_strategy_max: Count | None = None
    orders_per_second_max: Count | None = None
    price_collar: Decimal | None = None
    mark_max_age_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 10_000
    strategies: dict[str, StrategyLimits] = {}

    def __post_init__(self) -> None:
        """Refuse amounts that limit nothing; msgspec turns the sentence into a ValidationError."""
        _check_amounts(self)
        if self.price_collar is not None and not in_bounds(self.price_collar):
            raise ValueError(f"price_collar must be a positive decimal, not {self.price_collar}")

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return self != Limits(mark_max_age_ms=self.mark_max_age_ms)

    @property
    def needs_marks(self) -> bool:
        """Whether an order may have to be valued, or held against a reference price."""
        tables = (self.notional_max, *(one.notional_max for one in self.strategies.values()))
        return self.price_collar is not None or any(tables)

    def of(self, strategy: str) -> "Limits":
        """The limits that orders of one strategy are held against beside these: its own, nothing else."""
        own = self.strategies.get(strategy)
        if own is None:
            return Limits()
        return Limits(
            quantity_max=own.quantity_max, notional_max=own.notional_max, open_orders_strategy_max=own.open_orders_max,
            orders_per_second_max=own.orders_per_second_max, mark_max_age_ms=self.mark_max_age_ms,
        )  # fmt: skip


def _check_amounts(limits: "Limits | StrategyLimits") -> None:
    for name in ("quantity_max", "notional_max", "position_max"):
        for symbol, amount in getattr(limits, name, {}).items():
            if not in_bounds(amount):
                raise ValueError(f"{name} of {symbol} must be a positive decimal, not {amount}")


def limit_of(limits: dict[str, Decimal], symbol: str) -> Decimal | None:
    """The limit of a symbol: its own, else that of every symbol, else None."""
    return limits.get(symbol, limits.get(EVERY))
