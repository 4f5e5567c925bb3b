"""Telling people: a real webhook and a real command; neither can hold up or break what is done about it."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from consumers.alarm import Alarm
from consumers.watching import Firing
from streams.rules import Rules

FIRING = Firing(account="sim.main", rule="ledger_lag", action="halted", value=9, above=1, at_ms=1)
WRITE = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read()); sys.exit(int(sys.argv[2]))"


@pytest.fixture
async def posted(unused_tcp_port: int) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A webhook, and what it was told."""
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(status=500 if request.path == "/broken" else 200)

    app = web.Application()
    app.router.add_post("/{any}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield f"http://127.0.0.1:{unused_tcp_port}", bodies
    await runner.cleanup()


async def test_an_alarm_is_logged_posted_and_given_to_a_command(
    posted: tuple[str, list[bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both get the same JSON; the log line says it in words."""
    url, bodies = posted
    file = tmp_path / "told"
    alarm = Alarm(Rules(webhook=f"{url}/x", command=(sys.executable, "-c", WRITE, str(file), "0")))
    await alarm.tell(FIRING)
    told = msgspec.json.decode(file.read_bytes())
    assert msgspec.json.decode(bodies[0]) == told
    assert (told["rule"], told["sentence"]) == ("ledger_lag", "rule ledger_lag: 9 is above 1")
    assert "sim.main: rule ledger_lag: 9 is above 1: halted" in caplog.text
    assert alarm.failed == 0


@pytest.mark.parametrize("which", ["broken", "nobody there", "exit code", "no such command"])
async def test_who_cannot_be_told_is_said_and_breaks_nothing(
    posted: tuple[str, list[bytes]], tmp_path: Path, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The address may hold a secret, so it is in no log."""
    url, _ = posted
    rules = {
        "broken": Rules(webhook=f"{url}/broken"),
        "nobody there": Rules(webhook="http://127.0.0.1:1/secret"),
        "exit code": Rules(command=(sys.executable, "-c", WRITE, str(tmp_path / "told"), "3")),
        "no such command": Rules(command=(str(tmp_path / "nothing"),)),
    }[which]
    alarm = Alarm(rules)
    await alarm.tell(FIRING)
    assert alarm.failed == 1
    assert "was not told" in caplog.text
    assert "127.0.0.1" not in caplog.text
