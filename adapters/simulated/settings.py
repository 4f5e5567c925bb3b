"""Pure: what the simulated venue is told when it starts. Secrets come in this document only, never in arguments."""

from decimal import Decimal
from typing import Literal

import msgspec

from adapters.simulated.accounts import Fees
from adapters.simulated.limits import Limits
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.symbols import DEFAULT_SYMBOLS, Symbol

SETTINGS_VARIABLE = "FILLONCE_SIMULATED"
_MIN_TOKEN = 16


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One account with its API key and starting balances by asset. Its repr shows no secret."""

    name: str
    api_key: str
    secret: str
    balances: dict[str, Decimal]
    may_withdraw: bool = False

    def __repr__(self) -> str:
        return f"AccountSettings(name={self.name!r})"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a venue but its port, seed and faults. Its repr shows no secret."""

    control_token: str
    accounts: tuple[AccountSettings, ...]
    symbols: tuple[Symbol, ...] = DEFAULT_SYMBOLS
    fees: Fees = msgspec.field(default_factory=Fees)
    liquidity: Liquidity = msgspec.field(default_factory=Liquidity)
    limits: Limits = msgspec.field(default_factory=Limits)
    stream_ping_ms: int = 20_000
    product: Literal["spot", "usdm"] = "spot"

    def __repr__(self) -> str:
        return f"Settings(accounts={[account.name for account in self.accounts]})"


def decode(document: bytes) -> Settings:
    """Read settings from JSON.

    Raises:
        ValueError: a sentence that says what to correct; it never repeats a value.
    """
    try:
        settings = msgspec.json.decode(document, type=Settings)
    except msgspec.MsgspecError as error:
        raise ValueError(f"correct the settings of the simulated venue: {error}") from None
    if len(settings.control_token) < _MIN_TOKEN:
        raise ValueError(f"give the simulated venue a control token of at least {_MIN_TOKEN} characters")
    for field in ("name", "api_key"):
        values = [getattr(account, field) for account in settings.accounts]
        if len(set(values)) != len(values) or "" in values:
            raise ValueError(f"give every account of the simulated venue its own {field}")
    return settings
