"""Awaitable requests over one websocket, against a real server that behaves badly."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from websockets.asyncio.server import ServerConnection, serve

from adapters.classify import Failure, Response
from adapters.socket_calls import Heard, Replied, SocketCalls
from adapters.sockets import Pace
from adapters.websocket import Confirmed, Denied, Ended, Noise
from tests.support import wait_until_async

PACE = Pace(connect_ms=2_000, answer_ms=2_000, silence_ms=10_000, close_ms=100, retry_first_ms=1, retry_most_ms=2)
SECRET = "the-signature"


class Plain:
    """A venue in plain words: `id:method:SECRET` goes out, `id=body` comes back."""

    def __init__(self, url: str, login: str = "") -> None:
        self.url, self.login = url, login

    def log_in(self) -> str:
        """Ask to be let in."""
        return self.login

    def request(self, name: str, method: str, params: Mapping[str, str]) -> str:
        """Ask."""
        return f"{name}:{method}:{params.get('pad', '')}:{SECRET}"

    def hear(self, raw: bytes) -> Heard:
        """Read."""
        match raw:
            case b"in":
                return Confirmed()
            case b"out":
                return Denied("not you")
            case b"end":
                return Ended("going down")
        name, is_answer, body = raw.partition(b"=")
        return Replied(name.decode(), Response(200, {}, body)) if is_answer else Noise()


class Stage:
    """A server that keeps what it hears and says what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.connections: list[ServerConnection] = []
        self.reply: Callable[[str], list[str]] = lambda words: [f"{words.split(':')[0]}=done"]
        self.url = ""

    async def play(self, connection: ServerConnection) -> None:
        """Answer every frame by `reply`."""
        self.connections.append(connection)
        async for words in connection:
            self.heard.append(str(words))
            for answer in self.reply(str(words)):
                await connection.send(answer)

    async def until(self, number: int) -> None:
        """Wait until so many frames have come."""
        await wait_until_async(lambda: len(self.heard) >= number)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A websocket server on a free port."""
    made = Stage()
    async with serve(made.play, "127.0.0.1", 0, close_timeout=0.1) as server:
        made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made


class Opened:
    """Makes calls that are closed at the end of the test."""

    def __init__(self) -> None:
        self.made: list[SocketCalls] = []

    async def __call__(self, url: str, *, timeout_ms: int = 5_000, pace: Pace = PACE, login: str = "") -> SocketCalls:
        """Open one."""
        calls = SocketCalls(Plain(url, login), timeout_ms, pace)
        self.made.append(calls)
        await calls.open()
        return calls


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """A maker of calls."""
    made = Opened()
    yield made
    for calls in made.made:
        await calls.close()


def always() -> str:
    """No objection."""
    return ""


async def test_every_request_gets_its_own_answer_in_whatever_order_they_come(stage: Stage, opened: Opened) -> None:
    """The first waits for the second; ids decide, and noise between them does not matter."""
    asked: list[str] = []

    def reply(words: str) -> list[str]:
        asked.append(words.split(":", maxsplit=1)[0])
        return (
            [] if len(asked) < 2 else ["noise", f"{asked[1]}=two", "nobody=x", f"{asked[0]}=one", f"{asked[0]}=again"]
        )

    stage.reply = reply
    calls = await opened(stage.url)
    one = asyncio.create_task(calls.call("first", {}, always))
    await stage.until(1)
    two = await calls.call("second", {}, always)
    assert two == Response(200, {}, b"two")
    assert await one == Response(200, {}, b"one")
    assert len(set(asked)) == 2


async def test_an_answer_that_does_not_come_in_time_leaves_the_request_unknown(stage: Stage, opened: Opened) -> None:
    """It has left. What comes too late is nobody's, and the connection serves the next request."""
    late: list[str] = []

    def reply(words: str) -> list[str]:
        late.append(words.split(":", maxsplit=1)[0])
        return [] if len(late) == 1 else [f"{late[0]}=late", f"{late[1]}=in time"]

    stage.reply = reply
    calls = await opened(stage.url, timeout_ms=300)
    assert await calls.call("slow", {}, always) == Failure(sent=True, reason="no answer within 300 ms")
    calls._timeout_s = 10  # silence alone is waited for
    assert await calls.call("next", {}, always) == Response(200, {}, b"in time")
    assert calls.connects == 1


async def test_a_lost_connection_leaves_all_that_wait_unknown_and_is_made_again(stage: Stage, opened: Opened) -> None:
    """None of them is sent again; the next request goes over the new connection."""
    stage.reply = lambda _words: []
    calls = await opened(stage.url)
    waiting = [asyncio.create_task(calls.call(f"m{number}", {}, always)) for number in range(3)]
    await stage.until(3)
    stage.connections[0].transport.abort()
    answers = await asyncio.gather(*waiting)
    assert all(isinstance(one, Failure) and one.sent and "lost" in one.reason for one in answers)
    stage.reply = lambda words: [f"{words.split(':')[0]}=done"]
    await wait_until_async(lambda: calls.connects == 2)
    assert await calls.call("after", {}, always) == Response(200, {}, b"done")
    assert len(stage.heard) == 4


async def test_without_a_connection_nothing_is_sent_and_the_caller_knows_at_once(
    unused_tcp_port: int, opened: Opened
) -> None:
    """Refused before the first byte: the same command may go another way."""
    calls = await opened(f"ws://127.0.0.1:{unused_tcp_port}")
    assert not calls.stands
    answer = await calls.call("place", {}, always)
    assert isinstance(answer, Failure)
    assert not answer.sent


async def test_the_last_check_stands_between_signature_and_write(stage: Stage, opened: Opened) -> None:
    """What it objects to never reaches the wire."""
    calls = await opened(stage.url)
    refused = await calls.call("place", {}, lambda: "the window closed")
    assert refused == Failure(sent=False, reason="the window closed")
    await calls.call("other", {}, always)
    assert [words.split(":")[1] for words in stage.heard] == ["other"]


async def test_a_request_that_waits_behind_a_full_socket_is_checked_when_its_turn_comes(
    stage: Stage, opened: Opened
) -> None:
    """It was signed long before; by its turn the window has closed, and nothing of it is sent."""
    stage.reply = lambda words: [f"{words.split(':')[0]}=done"]
    calls = await opened(stage.url)
    stage.connections[0].transport.pause_reading()
    closed = False
    first = asyncio.create_task(calls.call("big", {"pad": "x" * 800_000}, always))
    others = [asyncio.create_task(calls.call("big", {"pad": "x" * 800_000}, always)) for _ in range(9)]
    behind = asyncio.create_task(calls.call("place", {}, lambda: "the window closed" if closed else ""))
    await wait_until_async(lambda: calls._writing.locked() and bool(calls._writing._waiters))
    assert not behind.done()
    closed = True
    stage.connections[0].transport.resume_reading()
    assert await behind == Failure(sent=False, reason="the window closed")
    await asyncio.gather(first, *others)
    assert not [words for words in stage.heard if ":place:" in words]


async def test_a_login_comes_before_the_first_request_of_every_connection(stage: Stage, opened: Opened) -> None:
    """Also of the second one."""
    stage.reply = lambda words: ["noise", "in"] if words == "let me in" else [f"{words.split(':')[0]}=done"]
    calls = await opened(stage.url, login="let me in")
    await calls.call("one", {}, always)
    stage.connections[0].transport.abort()
    await wait_until_async(lambda: calls.connects == 2)
    await calls.call("two", {}, always)
    assert [words.split(":")[1] if ":" in words else words for words in stage.heard] == [
        "let me in", "one", "let me in", "two",
    ]  # fmt: skip


async def test_a_refused_login_sends_nothing(stage: Stage, opened: Opened) -> None:
    """It is tried again, in growing waits, and no order goes out meanwhile."""
    stage.reply = lambda _words: ["out"]
    calls = await opened(stage.url, login="let me in")
    answer = await calls.call("place", {}, always)
    assert isinstance(answer, Failure)
    assert not answer.sent
    await wait_until_async(lambda: stage.heard.count("let me in") >= 3)
    assert set(stage.heard) == {"let me in"}


async def test_a_connection_that_is_old_is_replaced_when_nobody_waits_on_it(stage: Stage, opened: Opened) -> None:
    """The venue would cut it in mid-flight; what is under way is still answered."""
    names: list[str] = []

    def reply(words: str) -> list[str]:
        names.append(words.split(":", maxsplit=1)[0])
        return ["end"] if len(names) == 1 else [f"{names[-1]}=done"]

    stage.reply = reply
    calls = await opened(stage.url)
    waiting = asyncio.create_task(calls.call("under-way", {}, always))
    await wait_until_async(lambda: not calls.stands)
    refused = await calls.call("new", {}, always)
    assert isinstance(refused, Failure)
    assert not refused.sent
    await stage.connections[0].send(f"{names[0]}=answered")
    assert await waiting == Response(200, {}, b"answered")
    await wait_until_async(lambda: calls.connects == 2)


async def test_age_alone_replaces_a_connection(stage: Stage, opened: Opened) -> None:
    """Before the venue's own limit of a day."""
    calls = await opened(stage.url, pace=Pace(renew_ms=50, retry_first_ms=1, close_ms=100))
    await wait_until_async(lambda: calls.connects >= 2)


async def test_closing_answers_everybody(stage: Stage, opened: Opened) -> None:
    """Nobody waits for ever."""
    stage.reply = lambda _words: []
    calls = await opened(stage.url)
    waiting = asyncio.create_task(calls.call("place", {}, always))
    await stage.until(1)
    await calls.close()
    answer = await waiting
    assert isinstance(answer, Failure)
    assert answer.sent


async def test_no_log_holds_what_was_signed(stage: Stage, opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """The library logs whole frames at debug level, but not ours."""
    caplog.set_level(logging.DEBUG)
    calls = await opened(stage.url)
    await calls.call("place", {}, always)
    clients = [record for record in caplog.records if "server" not in record.name]
    assert all(SECRET not in record.getMessage() for record in clients)
    assert SECRET not in repr(calls)
