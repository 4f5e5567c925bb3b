"""The private stream's shell against a real websocket server that behaves badly."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import pytest
from websockets.asyncio.server import ServerConnection, serve

from adapters.sockets import Pace
from adapters.venue import Frame, Lost, Subscribed
from adapters.websocket import Confirmed, Denied, Ended, Event, Heard, Noise, listen

Scene = Callable[[ServerConnection], Awaitable[None]]
SECRET = "subscribe-with-the-secret"
PACE = Pace(close_ms=100)


class Plain:
    """A dialogue in plain words: the frame says what it means."""

    format = "plain"

    def __init__(self, url: str) -> None:
        self.url = url

    def subscribe(self) -> str:
        """Ask."""
        return SECRET

    def hear(self, raw: bytes) -> Heard:
        """Read."""
        match raw.split(b":")[0]:
            case b"yes":
                return Confirmed()
            case b"no":
                return Denied(raw.decode())
            case b"end":
                return Ended("the end")
            case b"noise":
                return Noise()
        return Event()


class Stage:
    """A server that plays one scene a connection, the last one for ever."""

    def __init__(self) -> None:
        self.scenes: list[Scene] = []
        self.heard: list[str] = []
        self.url = ""
        self.left = asyncio.Event()

    async def play(self, connection: ServerConnection) -> None:
        """Play the next scene."""
        self.heard.append(str(await connection.recv()))
        scene = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        await scene(connection)
        await connection.close()
        self.left.set()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A websocket server on a free port."""
    made = Stage()
    async with serve(made.play, "127.0.0.1", 0) as server:
        made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made


def _says(*frames: str, stay: bool = False) -> Scene:
    async def scene(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame)
        if stay:
            await connection.wait_closed()

    return scene


class Waits:
    """Waits that take no time, and are remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Remember."""
        self.seconds.append(seconds)


async def test_frames_come_as_they_came_after_the_acknowledgement(stage: Stage) -> None:
    """Subscribed first; raw bytes, the arrival time and the connection; noise is left out."""
    stage.scenes = [_says("yes", "a", "noise", "b", stay=True)]
    async with aclosing(listen(Plain(stage.url), PACE, now_ns=lambda: 7)) as events:
        first = await anext(events)
        assert isinstance(first, Subscribed)
        assert [await anext(events), await anext(events)] == [
            Frame("plain", raw, 7, first.connection) for raw in (b"a", b"b")
        ]
    await stage.left.wait()
    assert stage.heard == [SECRET]


async def test_a_frame_that_overtakes_the_acknowledgement_is_kept(stage: Stage) -> None:
    """It is handed on after Subscribed."""
    stage.scenes = [_says("early", "yes", "late", stay=True)]
    async with aclosing(listen(Plain(stage.url), PACE)) as events:
        assert isinstance(await anext(events), Subscribed)
        frames = [await anext(events), await anext(events)]
    assert [frame.raw for frame in frames if isinstance(frame, Frame)] == [b"early", b"late"]


async def test_a_lost_connection_is_said_and_made_again_under_another_name(stage: Stage) -> None:
    """Lost with the reason, then Subscribed anew."""
    stage.scenes = [_says("yes", "a"), _says("yes", stay=True)]
    async with aclosing(listen(Plain(stage.url), PACE, sleep=Waits())) as events:
        one, _, lost, two = [await anext(events) for _ in range(4)]
    assert isinstance(one, Subscribed)
    assert isinstance(lost, Lost)
    assert isinstance(two, Subscribed)
    assert lost.connection == one.connection != two.connection
    assert "1000" in lost.reason


async def test_the_end_of_a_subscription_is_a_frame_and_a_loss(stage: Stage) -> None:
    """The connection may stay open, but nothing comes by it any more."""
    stage.scenes = [_says("yes", "end", stay=True)]
    async with aclosing(listen(Plain(stage.url), PACE, sleep=Waits())) as events:
        _, frame, lost = [await anext(events) for _ in range(3)]
    assert isinstance(frame, Frame)
    assert isinstance(lost, Lost)
    assert lost.reason == "the end"


async def test_silence_is_bounded() -> None:
    """A peer that answers no ping is lost within the bound, although TCP stands."""
    pace = Pace(silence_ms=200, close_ms=100)
    async with _mute_after_handshake() as url, aclosing(listen(Plain(url), pace, sleep=Waits())) as events:
        assert isinstance(await anext(events), Subscribed)
        lost = await anext(events)
    assert isinstance(lost, Lost)
    assert "ping" in lost.reason


async def test_a_refusal_is_repeated_with_growing_waits(stage: Stage) -> None:
    """The reason is visible, the wait doubles from the first to the longest, half of it jitter."""
    stage.scenes = [_says("no: -2015 Invalid API-key.")]
    waits = Waits()
    pace = Pace(retry_first_ms=100, retry_most_ms=1_000)
    async with aclosing(listen(Plain(stage.url), pace, sleep=waits, uniform=lambda low, _high: low)) as events:
        lost = [await anext(events) for _ in range(7)]
    assert {event.reason for event in lost if isinstance(event, Lost)} == {
        "subscription refused: no: -2015 Invalid API-key."
    }
    assert waits.seconds == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5])


async def test_a_success_takes_the_waits_back_to_the_first(stage: Stage) -> None:
    """An hour of good service is not held against the venue."""
    stage.scenes = [_says("no"), _says("no"), _says("yes"), _says("no")]
    waits = Waits()
    async with aclosing(
        listen(Plain(stage.url), Pace(steady_ms=0), sleep=waits, uniform=lambda _low, high: high)
    ) as events:
        for _ in range(6):
            await anext(events)
    assert waits.seconds == pytest.approx([0.1, 0.2, 0.1, 0.2])


async def test_a_venue_that_accepts_and_drops_at_once_is_asked_ever_less_often(stage: Stage) -> None:
    """A subscription that did not last is no success: many connects a second end in a ban."""
    stage.scenes = [_says("yes"), _says("yes"), _says("yes"), _says("yes")]
    waits = Waits()
    async with aclosing(listen(Plain(stage.url), Pace(), sleep=waits, uniform=lambda _low, high: high)) as events:
        for _ in range(8):
            await anext(events)
    assert waits.seconds == pytest.approx([0.1, 0.2, 0.4])


async def test_an_acknowledgement_that_never_comes_is_a_loss(stage: Stage) -> None:
    """The wait for it has a bound."""
    stage.scenes = [_says("noise", stay=True)]
    async with aclosing(listen(Plain(stage.url), Pace(answer_ms=300, close_ms=100), sleep=Waits())) as events:
        lost = await anext(events)
    assert isinstance(lost, Lost)
    assert lost.reason == "no answer in time"


async def test_nobody_at_the_address_is_a_loss_without_the_address(unused_tcp_port: int) -> None:
    """The reason names what failed and no more."""
    async with aclosing(listen(Plain(f"ws://127.0.0.1:{unused_tcp_port}/secret"), PACE, sleep=Waits())) as events:
        lost = await anext(events)
    assert isinstance(lost, Lost)
    assert lost.reason == "ConnectionRefusedError"


async def test_a_frame_beyond_the_bound_is_a_loss(stage: Stage) -> None:
    """Memory is bounded; what the frame held is fetched like anything that was missed."""
    stage.scenes = [_says("yes", "x" * (1 << 21), stay=True)]
    async with aclosing(listen(Plain(stage.url), PACE, sleep=Waits())) as events:
        await anext(events)
        lost = await anext(events)
    assert isinstance(lost, Lost)
    assert "1009" in lost.reason


async def test_no_log_holds_what_was_signed(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The library logs whole frames at debug level, but not ours."""
    caplog.set_level(logging.DEBUG)
    stage.scenes = [_says("yes", stay=True)]
    async with aclosing(listen(Plain(stage.url), PACE)) as events:
        await anext(events)
    clients = [record for record in caplog.records if "server" not in record.name]
    assert all(SECRET not in record.getMessage() for record in clients)


class _mute_after_handshake:  # noqa: N801 - read as a verb where it is used
    """A peer that acknowledges and then reads and writes nothing."""

    async def __aenter__(self) -> str:
        self._server = await serve(self._play, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1)
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_error: object) -> None:
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    async def _play(self, connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("yes")
        connection.transport.pause_reading()
        await connection.wait_closed()
