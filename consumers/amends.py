"""Amends: what one asks of the order it names, and how it is carried out at the venue.

Three ways. The venue amends the order in place. Or it replaces it at once, on the condition that nothing of it was
executed: an execution that crosses the request stops it. Or the order is cancelled first, and what is then left by the
venue's own final figure is placed anew: so the whole never executes more than was asked for, whatever crosses what.
"""

import logging
from decimal import Decimal
from typing import Literal

from msgspec.structs import replace
from redis.asyncio import Redis

from adapters.venue import Answer, Decoder, Rows, Venue, VenueFacts, Window
from consumers.prepare import Prepared
from streams import codec
from streams.amending import NO_PRICE, wish
from streams.clock import Clock
from streams.errors import BadIntent, BadPayload
from streams.evidence import append
from streams.identity import can_amend
from streams.instrument import Instruments, Legal, fit
from streams.keys import AccountKeys
from streams.legs import executed_before, successor, untold
from streams.money import CONTEXT, ZERO, text
from streams.plans import ClaimItem
from streams.schemas import Accepted, Amend, Evidence, NotSent, Order, OrderReport, Refused, Unknown
from streams.store import Store

log = logging.getLogger("fillonce.gateway")

NOTHING_LEFT = "nothing_left"  # code of an amend to less than was executed by the time of the cancel

Way = Literal["at once", "anew", "wait"]


def ready(
    item: ClaimItem, intent: Amend, order: Order | None, facts: VenueFacts, instruments: Instruments
) -> ClaimItem:
    """Work out the claim of an amend from the order it names; its amounts, or the sentence that refuses it. Pure."""
    if order is None or order.terms is None:
        return item  # the claim says what became of it
    terms = order.terms
    given = replace(item, strategy=terms.strategy, symbol=terms.symbol)
    try:
        sent, refusal = _amounts(intent, order, facts, instruments)
    except (BadIntent, ValueError) as error:
        return replace(given, refusal=codec.encode_text(str(error)))
    if refusal:
        return replace(given, refusal=codec.encode_text(refusal))
    told = {**sent, "revision": str(intent.revision), "fingerprint": item.fingerprint}
    wanted = replace(terms, quantity=Decimal(sent["quantity"]), price=Decimal(sent["price"]), rounding=None)
    return replace(given, terms=codec.encode_text(wanted), sent=codec.encode_text(told))


def way(order: Order, facts: VenueFacts) -> Way:
    """Choose how an amend is carried out. Pure."""
    state = order.state
    if untold(state):
        return "wait"  # what is left to execute is not known before
    if facts.amends == "in place":
        return "at once"
    fresh = state.filled == state.reported == executed_before(state)
    return "at once" if facts.amends == "by replacing" and fresh else "anew"


class Amends:
    """Amends of one account."""

    def __init__(self, redis: Redis, keys: AccountKeys, venue: Venue, decode: Decoder, clock: Clock) -> None:
        """Bind it; `redis` is a pool."""
        self._redis, self._keys, self._venue, self._decode, self._clock = redis, keys, venue, decode, clock
        self._store = Store(redis, keys)

    async def ready(self, prepared: Prepared, instruments: Instruments) -> Prepared:
        """Work out the claim of an amend; anything else is returned as it is."""
        item = prepared.item
        if item.command != "amend":
            return prepared
        intent = codec.decode_intent(prepared.raw)
        assert isinstance(intent, Amend)
        [order] = await self._store.orders([item.client_order_id])
        return Prepared(ready(item, intent, order, self._venue.facts, instruments), prepared.raw)

    async def send(self, order: Order, window: Window) -> Answer:
        """Carry out the amend that was claimed, within `window`."""
        assert order.amend is not None
        match way(order, self._venue.facts):
            case "wait":
                return Answer(NotSent("the venue has not told yet how the order before it ended"))
            case "at once":
                answer = await self._venue.amend(order, order.amend, window)
                if answer.also is not None:
                    await self._keep(answer.also)
                return answer
            case "anew":
                return await self._anew(order, window)

    async def _anew(self, order: Order, window: Window) -> Answer:
        """Cancel, then place what is left. Dead in between, the look-ups find the one and not the other."""
        assert order.amend is not None
        # Half of the window is the successor's: a cancel that waits for the request budget must not use up all of it.
        half_ms = (window.send_by_ms - window.opened_at_ms) // 2
        cancelled = await self._venue.cancel(order, replace(window, send_by_ms=window.opened_at_ms + half_ms))
        if cancelled.outcome != Accepted():
            return Answer(cancelled.outcome, "", cancelled.raw)
        await self._keep(Rows(cancelled.format, (cancelled.raw,)))
        executed = self._final(cancelled)
        if executed is None:
            return Answer(Unknown("the answer to the cancel does not say how the order ended"))
        done = CONTEXT.add(executed_before(order.state), executed)
        left = CONTEXT.subtract(order.amend.quantity, done)
        if left <= ZERO:
            return Answer(Refused(NOTHING_LEFT, f"{text(done)} was executed before the cancel"))
        # The order is gone by now, so nothing but the venue keeps its successor from being placed.
        return await self._venue.submit(successor(order, order.amend, left), replace(window, urgency="cancel"))

    def _final(self, cancelled: Answer) -> Decimal | None:
        """How much the cancelled order executed, by the venue's word; None when it does not say that it ended."""
        try:
            facts = self._decode(cancelled.format, cancelled.raw)
        except BadPayload:
            return None
        ended = [one for one in facts if isinstance(one, OrderReport) and one.status in ("cancelled", "expired")]
        return ended[0].filled if ended else None

    async def _keep(self, rows: Rows) -> None:
        """Store what the venue said before anything is made of it."""
        said = Evidence(source="answer", format=rows.format, received_at_ns=self._clock.now_ns())
        await append(self._redis, self._keys, [(said, row) for row in rows.rows])


def _amounts(intent: Amend, order: Order, facts: VenueFacts, instruments: Instruments) -> tuple[dict[str, str], str]:
    assert order.terms is not None
    if order.terms.type != "limit":
        return {}, NO_PRICE
    if not can_amend(facts.id_rule):
        return {}, f"the ids of {facts.name} have no room for the revision of an amend"
    fitted = fit(wish(intent, order.terms), instruments.of(order.terms.symbol))
    if not isinstance(fitted, Legal):
        return {}, fitted.sentence
    sent = fitted.sent
    if order.amend is None and (Decimal(sent["quantity"]), Decimal(sent["price"])) == (order.quantity, order.price):
        return {}, "the order has these terms already"
    return sent, ""
