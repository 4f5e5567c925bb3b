"""What leaves for the venue between a claim and its settle: one command, or several by one request.

Nothing is raised: a defect of an adapter must not lose an order, so it is an outcome like any other.
"""

import logging
from collections.abc import Sequence
from typing import assert_never, cast

from adapters.venue import Answer, Batching, Venue
from consumers.amends import Amends
from consumers.batching import Sending
from streams.histogram import Histogram
from streams.schemas import Unknown

log = logging.getLogger("fillonce.gateway")


class Sender:
    """Sends what one gateway claimed.

    Attributes:
        to_socket: from a claim to the last moment before its request is written.
    """

    def __init__(self, venue: Venue, amends: Amends) -> None:
        """Bind it."""
        self.to_socket = Histogram()
        self._venue, self._amends = venue, amends

    async def send(self, group: Sequence[Sending]) -> Sequence[Answer]:
        """Send a group, which is of one command or what the venue takes in one request; an answer for each."""
        try:
            answers = [await self._one(group[0])] if len(group) == 1 else await self._together(group)
            if len(answers) != len(group):
                log.error("the venue adapter answered for %d of %d commands", len(answers), len(group))
                answers = [Answer(Unknown("the venue adapter answered for others"))] * len(group)
        except Exception as error:
            log.exception("the venue adapter failed")
            answers = [Answer(Unknown(f"the venue adapter failed: {type(error).__name__}"))] * len(group)
        for one, answer in zip(group, answers, strict=True):
            if answer.sent_at_ms:
                self.to_socket.add(answer.sent_at_ms - one.claim.opened_at_ms)
        return answers

    async def _one(self, sending: Sending) -> Answer:
        order, command = sending.claim.order, sending.item.command
        match command:
            case "cancel":
                return await self._venue.cancel(order, sending.window)
            case "amend":
                return await self._amends.send(order, sending.window)
            case "place":
                return await self._venue.submit(order, sending.window)
            case _:
                assert_never(command)

    async def _together(self, group: Sequence[Sending]) -> Sequence[Answer]:
        venue = cast("Batching", self._venue)  # its facts say so
        orders, windows = [one.claim.order for one in group], [one.window for one in group]
        if group[0].item.command == "place":
            return await venue.submit_many(orders, windows)
        return await venue.cancel_many(orders, windows)
