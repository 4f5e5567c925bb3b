"""Settles what became of claims: the venue's answer into `evidence`, and the intent's entry acknowledged with it."""

import logging

from redis.exceptions import RedisError

from adapters.venue import Answer
from streams import codec
from streams.clock import Clock
from streams.errors import StoreUnreachable
from streams.plans import ClaimItem
from streams.schemas import Command, Evidence, NotSent, Throttled
from streams.scripts import Scripts

log = logging.getLogger("fillonce.gateway")

AGAIN_MS = 100


class Settler:
    """Settles the claims of one gateway.

    Attributes:
        patient: whether it waits for a Redis server that gives no answer.
    """

    def __init__(self, scripts: Scripts, clock: Clock) -> None:
        """Bind it; the scripts are on a pool, because answers are settled side by side."""
        self.patient = True
        self._scripts, self._clock = scripts, clock

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
        while True:
            try:
                return await self._scripts.settle(
                    client_order_id=item.client_order_id, entry=item.entry, token=item.token, command=item.command,
                    evidence=evidence, raw=answer.raw, again=stays(item, answer),
                )  # fmt: skip
            except (StoreUnreachable, RedisError, OSError) as error:
                log.warning("an answer waits for Redis: %s", type(error).__name__)
                await self._clock.sleep_ms(AGAIN_MS)
                if not self.patient:
                    return True


def stays(item: ClaimItem, answer: Answer) -> bool:
    """Whether nothing of an amend was sent: its entry stays, a place's record is queued again by the sweep."""
    return item.command == "amend" and isinstance(answer.outcome, NotSent | Throttled)
