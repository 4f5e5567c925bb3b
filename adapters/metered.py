"""Requests that are paid for from the shared budget before they go out, and whose answers tell what is left of it."""

from collections.abc import Awaitable, Callable

from adapters.classify import Failure, Response
from adapters.venue import CouldNotAsk
from streams.budget import Allowance, Cost, Usage

Send = Callable[[], Awaitable[Response | Failure]]
_NOTHING = Usage()


class Metered:
    """The requests of one account at one venue; without an allowance nothing is counted and everything goes out.

    Attributes:
        allowance: asked before every request and told of every answer.
    """

    def __init__(
        self, allowance: Allowance | None, usage: Callable[[Response], Usage], now_ms: Callable[[], int],
        ahead_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        """Bind it: `usage` reads an answer, `now_ms` is the Redis server's clock, `ahead_ms` the venue's to it."""
        self.allowance = allowance
        self._usage, self._now_ms, self._ahead_ms = usage, now_ms, ahead_ms

    async def take(self, price: Cost, patience_ms: int = 0) -> int:
        """Take what a request costs; 0 when it may go out, else ms after which it may."""
        if self.allowance is None:
            return 0
        return await self.allowance.take(price, ahead_ms=self._ahead_ms(), patience_ms=patience_ms)

    async def send(self, send: Send) -> Response | Failure:
        """Send what was paid for."""
        began_ms = self._venue_now_ms()
        answer = await send()
        if self.allowance is not None and isinstance(answer, Response):
            await self.heard(self._usage(answer), began_ms)
        return answer

    async def ask(self, price: Cost, send: Send, patience_ms: int) -> Response | Failure:
        """Send what is no order command, once there is budget for it.

        Raises:
            CouldNotAsk: there is none for longer than `patience_ms`.
        """
        if wait_ms := await self.take(price, patience_ms):
            raise CouldNotAsk(f"the request budget is used up for {wait_ms} ms")
        return await self.send(send)

    async def heard(self, told: Usage, began_ms: int = 0) -> None:
        """Pass on what an answer says of budgets; `began_ms` is the venue's clock before its request."""
        if self.allowance is not None and told != _NOTHING:
            await self.allowance.heard(
                told, ahead_ms=self._ahead_ms(), began_ms=began_ms, ended_ms=self._venue_now_ms()
            )

    def _venue_now_ms(self) -> int:
        return self._now_ms() + self._ahead_ms()
