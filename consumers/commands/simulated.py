"""What `fillonce run --simulated` puts where the venues were: simulated ones, keys for them, and data of its own."""

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from adapters.simulated.process import SimulatedVenue, local_settings
from adapters.simulated.settings import Settings as VenueSettings
from consumers.commands.connecting import SIMULATED as MARK
from consumers.commands.connecting import Simulation
from consumers.keyring import variables
from streams.errors import UsageError
from streams.server_lock import DirectoryLock
from streams.settings import AccountSettings, Settings, venue_name

ACCOUNT: Final = "binance.main"
SYMBOLS: Final = ("BTC/USDT", "ETH/USDT")
SPOT: Final = {"BTC": Decimal(100), "ETH": Decimal(1_000), "USDT": Decimal(10_000_000)}
MARGIN: Final = {"USDT": Decimal(10_000_000)}
LAG_MS, LIFETIME_MS = 500, 1_000  # a simulated venue is sooner with everything than a real one


def with_account(settings: Settings) -> Settings:
    """Name an account where the settings name none: there is nothing to configure about a simulation."""
    return settings if settings.accounts else replace(settings, accounts={ACCOUNT: AccountSettings(symbols=SYMBOLS)})


@contextmanager
def simulated(settings: Settings, env: Mapping[str, str]) -> Iterator[tuple[Settings, dict[str, str]]]:
    """Start a venue for the accounts, and give settings and environment that lead to it.

    Raises:
        UsageError: the data directory has real orders, the server is another one, or a venue is not simulated.
    """
    if settings.redis_url:
        raise UsageError("--simulated keeps its own server; leave redis_url out.")
    accounts = settings.accounts
    venues = {name: _venue(name, one) for name, one in accounts.items()}
    _make_room(Path(settings.data_dir))
    with ExitStack() as stack:
        running = {kind: stack.enter_context(SimulatedVenue(_told(kind, venues))) for kind in set(venues.values())}
        keys = {
            variable: value
            for one in running.values()
            for held in one.settings.accounts
            for variable, value in zip(variables(held.name), (held.api_key, held.secret), strict=True)
        }
        led = {name: _led(one, running[venues[name]]) for name, one in accounts.items()}
        (Path(settings.data_dir) / MARK).write_bytes(msgspec.json.encode(Simulation(led, keys)))
        yield replace(settings, accounts=led), {**env, **keys}


def _venue(name: str, account: AccountSettings) -> str:
    kind = venue_name(name, account)
    if kind not in ("binance", "binance-usdm"):
        raise UsageError(f"{name}: binance and binance-usdm can be simulated, {kind} cannot; use --account for one.")
    return kind


def _told(kind: str, venues: Mapping[str, str]) -> VenueSettings:
    names = [name for name, one in venues.items() if one == kind]
    return replace(local_settings(names, MARGIN if kind == "binance-usdm" else SPOT),
                   product="usdm" if kind == "binance-usdm" else "spot")  # fmt: skip


def _led(account: AccountSettings, venue: SimulatedVenue) -> AccountSettings:
    return replace(
        account, environment="", allow_live=False, credentials_file="", rest_url=venue.rest_url,
        stream_url=venue.ws_url, order_url=venue.order_url, lookup_lag_ms=LAG_MS, request_lifetime_ms=LIFETIME_MS,
    )  # fmt: skip


def _make_room(folder: Path) -> None:
    """Empty the data directory of an earlier simulation: the venue that its orders were sent to is gone.

    Raises:
        UsageError: it is not one of a simulation.
        ServerError: one runs on it.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UsageError(f"{folder} has orders of a real venue; set FILLONCE_DATA_DIR to another one to simulate.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / MARK).touch(mode=0o600)  # it will have the simulated venue's keys
    lock = DirectoryLock(folder, threading.Event())
    try:
        (folder / MARK).write_bytes(b"")
        for one in folder.iterdir():
            if one.is_dir():
                shutil.rmtree(one)
            elif one.name not in ("lock", MARK):
                one.unlink()
    finally:
        lock.release()
