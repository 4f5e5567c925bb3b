"""Judges claims before they are made: reads the exposure, holds each order against limits and switches.

What is judged says by which exposure; the claim refuses it when another order was sent, a fill was counted or a
switch was turned meanwhile, and it is judged again. An account without limits costs nothing here.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis

from consumers.limits import Book, Mark, Rate, claimed, next_rate, reduces, refusal, room_of, without
from streams import codec
from streams.instrument import Instruments
from streams.keys import AccountKeys
from streams.limits import Limits
from streams.marks import Marks
from streams.money import ZERO, text
from streams.plans import ClaimItem
from streams.schemas import Place
from streams.store import Store

_sent = msgspec.json.Decoder(dict[str, str])
_reason = msgspec.json.Decoder(str)


class Judge:
    """Judges the claims of one account.

    Attributes:
        limits: of the account.
        refused: orders that a limit or a switch forbids, since the start.
    """

    def __init__(self, redis: Redis, keys: AccountKeys, limits: Limits) -> None:
        """Bind it."""
        self.limits, self.refused = limits, 0
        self._redis, self._keys = redis, keys
        self._store, self._marks = Store(redis, keys), Marks(redis, keys)
        self._pressed: set[str] = set()  # entries that a claim found while only what reduces may go out

    def press(self, entry: str) -> None:
        """Have an entry judged although nothing is limited: only what reduces may go out."""
        self._pressed.add(entry)

    async def reducing(self, items: Sequence[ClaimItem]) -> frozenset[str]:
        """Name the entries of orders that may go where new exposure may not, for the request budget.

        By their own terms, or by the position alone, which is one question: these are judged when they are claimed,
        with everything else that is sent.
        """
        places = [(item.entry, *_amounts(item)[:2]) for item in items if item.command == "place" and not item.refusal]
        found = {entry for entry, terms, _ in places if terms.reduce_only}
        if len(found) < len(places):
            positions = {_sides(key): held.quantity for key, held in (await self._store.positions()).items()}
            book = Book(exposure="", now_ms=0, positions=positions)
            smaller = {entry for entry, terms, quantity in places if reduces(terms, quantity, book)} - found
            self._pressed |= smaller
            found |= smaller
        return frozenset(found)

    async def judge(self, items: Sequence[ClaimItem], instruments: Instruments) -> tuple[list[ClaimItem], str]:
        """Judge as many of these as can be judged at once, in their order.

        Returns:
            The first items, judged where they need it, and the name of the exposure. An order that is forbidden only
            by others of the same call is left out with all behind it: whether those are sent is not known yet.
        """
        if not any(self._needs(item) for item in items):
            return list(items), ""
        book, control = await self._book(instruments)
        done: list[ClaimItem] = []
        first, waiting = book, _waiting(control, book.now_ms)
        for item in items:
            if not self._needs(item):
                done.append(item)
                continue
            reducing = _switched(control, _amounts(item)[0])
            sentence = self._sentence(item, book, reducing)
            if sentence and book is not first and not self._sentence(item, first, reducing):
                break
            terms, quantity, _ = _amounts(item)
            self._pressed.discard(item.entry)
            others, left, most = _changing(item, quantity, book)
            shrinks = not sentence and reduces(terms, left, others)
            waits = waiting and not shrinks
            own = self.limits.of(terms.strategy)
            rated = self.limits.orders_per_second_max or own.orders_per_second_max
            rate = next_rate(terms.strategy, book).text if rated else ""
            done.append(
                replace(
                    item, judged=True, reduces=shrinks, waits=waits, rate=rate,
                    refusal=codec.encode_text(sentence) if sentence else "",
                )
            )  # fmt: skip
            if waits:
                continue  # it is not sent now, so those behind it have the room
            if sentence:
                self.refused += 1
            else:
                book = claimed(terms, most, others)
        return done, first.exposure

    def _needs(self, item: ClaimItem) -> bool:
        known = item.command == "place" or (item.command == "amend" and item.terms)
        return bool(known) and not item.refusal and (self.limits.any or item.entry in self._pressed)

    def _sentence(self, item: ClaimItem, book: Book, reducing: str | None) -> str:
        terms, quantity, price = _amounts(item)
        book, left, _ = _changing(item, quantity, book)
        if reducing is not None and not reduces(terms, left, book):
            held = book.positions.get((terms.symbol, terms.position_side), Decimal(0))
            return (
                f"reducing ({reducing}): with all that is sent, this {terms.side} of {text(left)} could do more "
                f"than close the position of {text(held)}"
            )
        return refusal(terms, quantity, price, book, self.limits, left)

    async def _book(self, instruments: Instruments) -> tuple[Book, Mapping[str, str]]:
        # The exposure's name first: whatever moves after it makes the claim refuse what is judged here.
        raw: Any = await self._redis.hgetall(self._keys.control)
        control = {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}
        positions = await self._store.positions()
        live: Any = await self._redis.zrange(self._keys.live, 0, -1)
        orders = await self._store.orders([name.decode() for name in live])
        if self.limits.needs_marks:
            await self._marks.refresh()
        book = Book(
            exposure=control.get("exposure", ""),
            now_ms=await self._store.now_ms(),
            positions={_sides(key): held.quantity for key, held in positions.items()},
            sent=[room for order in orders if order is not None and (room := room_of(order)) is not None],
            rates={name[5:]: _rate(value) for name, value in control.items() if name.startswith("rate:")},
            marks={symbol: Mark(*mark) for symbol, mark in self._marks.prices.items()},
            contract_sizes={one.symbol: one.contract_size for one in instruments.by_symbol.values()},
        )
        return book, control


def _changing(item: ClaimItem, quantity: Decimal, book: Book) -> tuple[Book, Decimal, Decimal]:
    """What an order is held against, what of it may still execute, and the most while nobody knows what came of it.

    An amend is held against everything but the order itself, and that goes on as it was until the venue has changed it.
    """
    if item.command != "amend":
        return book, quantity, quantity
    before = sum((one.left for one in book.sent if one.client_order_id == item.client_order_id), ZERO)
    others, left = without(item.client_order_id, quantity, book)
    return others, left, max(left, before)


def _waiting(control: Mapping[str, str], now_ms: int) -> bool:
    """Whether new exposure waits: for the private stream, or for the account's start."""
    until = control.get("stream_until")
    return "starting" in control or (until is not None and int(until) <= now_ms)


def _switched(control: Mapping[str, str], terms: Place) -> str | None:
    """Why only what reduces may go out; None when anything may."""
    for scope in ("", ":global", f":strategy:{terms.strategy}", f":symbol:{terms.symbol}"):
        stored = control.get(f"reduce{scope}")
        if stored is not None:
            return _reason.decode(stored)
    return None


def _amounts(item: ClaimItem) -> tuple[Place, Decimal, Decimal | None]:
    """Terms, and the amounts as they are to be sent."""
    terms, sent = codec.decode_place(item.terms.encode()), _sent.decode(item.sent)
    price = sent.get("price")
    return terms, Decimal(sent.get("quantity", terms.quantity)), terms.price if price is None else Decimal(price)


def _sides(key: str) -> tuple[str, str]:
    for side in ("long", "short"):
        if key.endswith(f":{side}"):
            return key.removesuffix(f":{side}"), side
    return key, "net"


def _rate(value: str) -> Rate:
    second, _, count = value.partition(":")
    return Rate(int(second), int(count))
