"""Shared by the tests of adapters: a server that keeps every byte of a request, and orders to send."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from adapters.binance.facts import FACTS
from streams.identity import client_order_id
from streams.schemas import Order, OrderState, Place


class Wire:
    """A raw HTTP/1.1 server: answers are given beforehand, requests are kept byte for byte."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answers: list[bytes | None] = []
        self.port = 0
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, body: bytes, status: int = 200, headers: str = "", length: int | None = None) -> None:
        """Queue one answer; a `length` above the body's cuts it."""
        head = (
            f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n{headers}\r\n"
        )
        self.answers.append(head.encode() + body)

    def hang_up(self) -> None:
        """Queue a closed connection instead of an answer."""
        self.answers.append(None)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests and answer from the queue; an empty queue means silence until the client leaves."""
        self._writers.append(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.gone.set()
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        self.requests.append(head + await reader.readexactly(length))
        self.arrived.set()
        if not self.answers:
            await reader.read()
            return False
        answer = self.answers.pop(0)
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        declared = int(answer.split(b"Content-Length: ", 1)[1].split(b"\r\n", 1)[0])
        return declared == len(answer.split(b"\r\n\r\n", 1)[1])


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A raw server on a free port of this machine."""
    made = Wire()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for writer in made._writers:
        writer.close()
    await server.wait_closed()


class Orders:
    """Makes orders, each with an identity no other test has."""

    def __call__(self, *, sent: dict[str, str] | None = None, **terms: Any) -> Order:
        """Make an order: a limit buy of BTC/USDT unless told otherwise."""
        usual: dict[str, Any] = {
            "account": "binance.main",
            "strategy": "test",
            "signal_id": uuid4().hex,
            "signal_time": datetime(2026, 11, 1, tzinfo=UTC),
            "symbol": "BTC/USDT",
            "side": "buy",
            "type": "limit",
            "quantity": Decimal("0.01"),
            "price": Decimal(20_000),
        }
        if terms.get("type") == "market":
            usual["price"] = None
        place = Place(**{**usual, **terms})
        return Order(
            client_order_id=client_order_id(place, FACTS.id_rule),
            terms=place,
            status="submitting",
            state=OrderState(),
            digest="",
            sent=sent or {},
        )


@pytest.fixture
def make_order() -> Orders:
    """A maker of orders."""
    return Orders()
