"""Start and stop a simulated venue as a process of its own, from tests and from the demo."""

import asyncio
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from adapters.simulated.control import Control
from adapters.simulated.settings import SETTINGS_VARIABLE, AccountSettings, Settings

_START_S = 20.0
_STOP_S = 5.0


class SimulatedVenue:
    """A simulated venue's process, as an async or plain context manager.

    It belongs to the thread that enters it: the kernel ends the process when that thread ends.

    Attributes:
        settings: what the venue was told, API keys and secrets included.
    """

    def __init__(self, settings: Settings, *, seed: int = 1, faults: str | Path = "off", port: int = 0) -> None:
        self.settings = settings
        self._arguments = ("--port", str(port), "--seed", str(seed), "--faults", str(faults))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __repr__(self) -> str:
        return f"SimulatedVenue(port={self._port})"

    @property
    def rest_url(self) -> str:
        """Scheme, host and port of the REST side, to stand where `https://api.binance.com` stands."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        """The private stream: `wss://ws-api.binance.com:443/ws-api/v3`, or `wss://fstream.binance.com/private/ws`."""
        return f"ws://127.0.0.1:{self._port}" + ("/private/ws" if self.settings.product == "usdm" else "/ws-api/v3")

    @property
    def order_url(self) -> str:
        """Order entry by websocket; at spot the address of everything else, too."""
        return f"ws://127.0.0.1:{self._port}" + ("/ws-fapi/v1" if self.settings.product == "usdm" else "/ws-api/v3")

    @property
    def pid(self) -> int:
        """The process id; 0 when it does not run."""
        return 0 if self._process is None else self._process.pid

    def control(self) -> Control:
        """A new client of the control surface; close it."""
        return Control(self.rest_url, self.settings.control_token)

    def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            RuntimeError: it ended instead; its own sentence is on standard error.
        """
        self._launch()
        self._await_port()

    def stop(self) -> None:
        """Ask the process to stop, make it stop after five seconds, and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        # Launched from this thread and only awaited in another: the process must not die with a worker thread.
        self._launch()
        await asyncio.to_thread(self._await_port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _launch(self) -> None:
        command = [sys.executable, "-P", "-m", "adapters.simulated", *self._arguments]
        # Settings left in the environment for somebody else would win over standard input.
        environment = {name: value for name, value in os.environ.items() if name != SETTINGS_VARIABLE}
        # In a session of its own: a Ctrl-C is for whoever trades there, and the venue is there to the end.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )
        stdin = _pipe(self._process.stdin)
        stdin.write(msgspec.json.encode(self.settings))
        stdin.close()
        self._process.stdin = None

    def _await_port(self) -> None:
        assert self._process is not None
        limit = threading.Timer(_START_S, self._process.kill)
        limit.start()
        line = _pipe(self._process.stdout).readline()
        limit.cancel()
        if not line:
            self.stop()
            raise RuntimeError("the simulated venue did not start; its standard error says why")
        self._port = int(msgspec.json.decode(line)["port"])


def local_settings(accounts: Sequence[str], balances: Mapping[str, Decimal]) -> Settings:
    """Settings with fresh random keys, secrets and token, for accounts that all start with the same balances."""
    return Settings(
        control_token=secrets.token_urlsafe(32),
        accounts=tuple(
            AccountSettings(name, secrets.token_hex(32), secrets.token_hex(32), dict(balances)) for name in accounts
        ),
    )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
