"""Settles what became of claims: the venue's answer into `evidence`, and the intent's entry acknowledged with it."""

import asyncio
import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from adapters.venue import Answer
from streams import codec
from streams.clock import Clock
from streams.errors import StoreUnreachable
from streams.plans import ClaimItem, SettleItem
from streams.schemas import Command, Evidence, NotSent, Throttled
from streams.scripts import Scripts

log = logging.getLogger("fillonce.gateway")

AGAIN_MS = 100
# Under load answers are settled together: each call is a turn of the server with a disk write of its own, for which the
# claims of the next orders would wait. A lone answer is settled at once.
APART_MS = 5
TOGETHER_MAX = 64

Told = tuple[SettleItem, bytes, "asyncio.Future[bool]"]


class Settler:
    """Settles the claims of one gateway.

    Attributes:
        patient: whether it waits for a Redis server that gives no answer.
    """

    def __init__(self, scripts: Scripts, clock: Clock) -> None:
        """Bind it; the scripts are on a connection that nobody else waits for."""
        self.patient = True
        self._scripts, self._clock = scripts, clock
        self._waiting: list[Told] = []
        self._round: asyncio.Task[None] | None = None
        self._next_ms = 0

    async def settle(self, item: ClaimItem, answer: Answer) -> bool:
        """Settle one claim; False where its entry stays pending and is nobody's.

        That is when the claim is not the record's any more, or the history is another one. Giving up is safe: the order
        then becomes `unknown` and is looked up.
        """
        command = Command(
            client_order_id=item.client_order_id, token=item.token, outcome=answer.outcome, kind=item.command,
            revision=item.revision,
        )  # fmt: skip
        evidence = codec.encode(
            Evidence(
                source="answer", format=answer.format, received_at_ns=self._clock.now_ns(), command=command
            )
        )  # fmt: skip
        told = SettleItem(
            client_order_id=item.client_order_id, entry=item.entry, token=item.token, command=item.command,
            evidence=evidence.decode(), size=len(answer.raw), again=stays(item, answer),
        )  # fmt: skip
        while True:
            try:
                return await self._together(told, answer.raw)
            except (StoreUnreachable, RedisError, OSError) as error:
                log.warning("an answer waits for Redis: %s", type(error).__name__)
                await self._clock.sleep_ms(AGAIN_MS)
                if not self.patient:
                    return True

    async def _together(self, told: SettleItem, raw: bytes) -> bool:
        """Settle a claim with those that are told meanwhile."""
        settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((told, raw, settled))
        if self._round is None:
            self._round = asyncio.create_task(self._rounds())
        return await settled

    async def _rounds(self) -> None:
        """Make calls until nothing waits; the first at once, further ones no sooner than `APART_MS` after another."""
        try:
            while self._waiting:
                if (pause_ms := self._next_ms - self._clock.monotonic_ms()) > 0:
                    await self._clock.sleep_ms(pause_ms)
                self._next_ms = self._clock.monotonic_ms() + APART_MS
                batch, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
                await self._settle(batch)
        finally:
            self._round = None

    async def _settle(self, batch: Sequence[Told]) -> None:
        answers: Sequence[bool] = ()
        failed: BaseException | None = None
        try:
            answers = await self._scripts.settle_all([(told, raw) for told, raw, _ in batch])
        except BaseException as error:
            failed = error if isinstance(error, Exception) else StoreUnreachable("The gateway is ending.")
            if not isinstance(error, Exception):
                raise
        finally:
            for number, (_, _, settled) in enumerate(batch):
                if settled.done():
                    continue  # nobody waits for it any more
                if failed is not None:
                    settled.set_exception(failed)
                else:
                    settled.set_result(answers[number])


def stays(item: ClaimItem, answer: Answer) -> bool:
    """Whether nothing of an amend was sent: its entry stays, a place's record is queued again by the sweep."""
    return item.command == "amend" and isinstance(answer.outcome, NotSent | Throttled)
