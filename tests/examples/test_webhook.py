"""The webhook as a process: signed signals become orders, once, also when it dies between the order and its answer."""

import hashlib
import hmac
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.commands import environment
from tests.support import wait_until

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).parents[2] / "examples" / "strategies" / "webhook.py"
SECRET = "between the two of us"
SIGNAL = {"id": "b-1", "time": "2036-01-01T00:00:00Z", "symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "100"}  # fmt: skip  # noqa: E501


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        found: int = one.getsockname()[1]
        return found


@contextmanager
def listening(fillonce: Any) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """The webhook as a process; killed at the end."""
    port = free_port()
    env = environment({"FILLONCE_REDIS_URL": fillonce.url, "ACCOUNT": fillonce.account, "WEBHOOK_SECRET": SECRET})
    process = subprocess.Popen([sys.executable, str(PROGRAM), str(port)], env={**os.environ, **env})
    try:
        wait_until(lambda: reachable(port), 30)
        yield process, port
    finally:
        process.kill()
        process.wait()


def reachable(port: int) -> bool:
    """Whether anybody listens."""
    with closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def post(port: int, signal: Any, secret: str = SECRET, signed: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Send a signal, or bytes as they are; status and answer."""
    body = signal if isinstance(signal, bytes) else json.dumps(signal).encode()
    signed = signed or hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("POST", "/signals", body, {"X-Signature": signed})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_signal_sent_again_is_answered_with_the_order_it_made(fillonce):
    """By the same process and by the next one; other content under its id is a conflict, and a wrong signature none."""
    with listening(fillonce) as (process, port):
        status, first = post(port, SIGNAL)
        assert (status, first["duplicate"], first["status"]) == (201, False, "created")
        assert post(port, SIGNAL)[0] == 200
        assert post(port, {**SIGNAL, "quantity": "2"})[0] == 409
        assert post(port, {**SIGNAL, "id": "b-2", "symbol": "NO/SUCH"})[0] == 422
        for wrong in ({**SIGNAL, "time": "today"}, {**SIGNAL, "surprise": 1}, {**SIGNAL, "quantity": "-1"}):
            assert post(port, wrong)[0] == 400
        assert post(port, {**SIGNAL, "id": "b-3"}, "guessed")[0] == 401
        assert post(port, SIGNAL, signed="é".encode())[0] == 401
        for broken in (b"", b"{", b"[" * 50_000, b'{"id": "\xff"}', b"7"):
            assert post(port, broken)[0] == 400
        process.kill()
    fillonce.until(lambda: [order.status for order in fillonce.orders("webhook")] == ["open"])
    with listening(fillonce) as (_, port):
        status, again = post(port, SIGNAL)
        assert (status, again) == (
            200, {"client_order_id": first["client_order_id"], "duplicate": True, "status": "open"},
        )  # fmt: skip
    assert len(fillonce.venue_orders()) == 1


@pytest.mark.parametrize("missing", ["WEBHOOK_SECRET", "ACCOUNT", "FILLONCE_REDIS_URL"])
def test_it_does_not_start_without_what_it_must_be_told(missing: str) -> None:
    """An empty secret above all: everybody could sign with it."""
    given = {"FILLONCE_REDIS_URL": "unix:///nowhere", "ACCOUNT": "a.b", "WEBHOOK_SECRET": SECRET, missing: ""}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "0"], env={**os.environ, **given}, capture_output=True, text=True, check=False,
        timeout=30,
    )  # fmt: skip
    assert (done.returncode, f"{missing} is not set" in done.stderr) == (1, True)
