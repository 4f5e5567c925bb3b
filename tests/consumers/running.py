"""A pipeline that runs against a simulated venue, as a person starts it: for commands that need every role."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import orjson

from adapters.simulated.process import SimulatedVenue, local_settings
from tests.commands import Shell
from tests.support import wait_until

ACCOUNT = "binance.main"


@contextmanager
def simulated() -> Iterator[SimulatedVenue]:
    """A venue with one account."""
    with SimulatedVenue(local_settings([ACCOUNT], {"BTC": Decimal(10), "USDT": Decimal(1_000_000)})) as venue:
        yield venue


@contextmanager
def running(venue: SimulatedVenue, folder: Path, symbols: Sequence[str], *lines: str) -> Iterator[Shell]:
    """A folder with settings, `lines` of the account among them, and a pipeline running on them."""
    given = [
        f'[accounts."{ACCOUNT}"]', f"symbols = {orjson.dumps(symbols).decode()}", f'rest_url = "{venue.rest_url}"',
        f'stream_url = "{venue.ws_url}"', "lookup_lag_ms = 100", *lines,
    ]  # fmt: skip
    (folder / "fillonce.toml").write_text("\n".join(given))
    held = venue.settings.accounts[0]
    shell = Shell(folder, {"FILLONCE_KEY_BINANCE_MAIN": held.api_key, "FILLONCE_SECRET_BINANCE_MAIN": held.secret})
    with shell.started("run"):
        wait_until(lambda: shell("reconcile").code == 0, 60)
        yield shell
