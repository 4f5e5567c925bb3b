"""The webhook of the examples in the demo: its process is killed once, and the sender sends until it has an answer."""

import asyncio
import hashlib
import hmac
import os
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from consumers.demo.plan import Script
from consumers.starters import starter

SIGNALS = 30
PAUSE_MS, AGAIN_MS = 150, 50
QUANTITY = "0.002"
AGAIN_EVERY = 3  # of so many signals one is sent twice
ANSWER_S = 5.0
# It must not outlive whoever started it, however that ends.
_LAUNCH = (
    "import runpy, sys; from streams.parent import end_with_parent; end_with_parent(); "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def signals(script: Script) -> Sequence[Mapping[str, str]]:
    """What is sent, in its order; the same for the same script."""
    symbol = min(script.prices)
    made = [
        {
            "id": f"demo-{number}", "time": script.started_at.isoformat(), "symbol": symbol,
            "side": "sell" if number % 2 else "buy", "quantity": QUANTITY,
        }
        for number in range(SIGNALS)
    ]  # fmt: skip
    return [one for number, one in enumerate(made) for _ in range(1 if number % AGAIN_EVERY else 2)]


class Webhook:
    """The receiver, a process at a time, and who sends to it.

    Attributes:
        answers: signal id -> statuses and client order ids that the sender was answered with.
    """

    def __init__(self, url: str, account: str) -> None:
        """Bind it; nothing is started yet."""
        self.answers: dict[str, list[tuple[int, str]]] = {}
        self._secret, self._port = secrets.token_urlsafe(24), _free_port()
        self._env = {
            **os.environ, "FILLONCE_REDIS_URL": url, "ACCOUNT": account, "WEBHOOK_SECRET": self._secret,
        }  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the receiver."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", _LAUNCH, str(starter("webhook.py")), str(self._port), env=self._env,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def kill(self) -> None:
        """Kill it in the middle of whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def send(self, made: Sequence[Mapping[str, str]], pause_ms: int = PAUSE_MS) -> None:
        """Send each until it is answered.

        Raises:
            RuntimeError: an answer that no signal of these may have: another order, or none.
        """
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for one in made:
                status, answer = await self._answered(session, orjson.dumps(one))
                told = self.answers.setdefault(one["id"], [])
                told.append((status, answer.get("client_order_id", "")))
                if status not in (200, 201) or len({name for _, name in told}) > 1:
                    raise RuntimeError(f"signal {one['id']} was answered with {told}: {answer.get('error', '')}")
                await asyncio.sleep(pause_ms / 1000)

    async def _answered(self, session: aiohttp.ClientSession, body: bytes) -> tuple[int, dict[str, Any]]:
        signed = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        address = f"http://127.0.0.1:{self._port}/signals"
        while True:
            try:
                async with session.post(address, data=body, headers={"X-Signature": signed}) as answer:
                    if answer.status < 500:
                        return answer.status, await answer.json()
            except (aiohttp.ClientError, TimeoutError):
                pass  # it is not up, or was killed before it answered: the same signal again cannot become two orders
            await asyncio.sleep(AGAIN_MS / 1000)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        found: int = one.getsockname()[1]
        return found
