"""Publishing intents from Python: the answer is the order as it stands, not a flag."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams import amending, codec, store
from streams.cache import Cache
from streams.errors import BadIntent, HistoryChanged, IntentConflict, IntentSpent, StoreError, StoreUnreachable
from streams.identity import client_order_id, fingerprint_until
from streams.instrument import Instruments, refusal, some_of, tabulate, unsupported
from streams.keys import AccountKeys
from streams.plans import Conflict, Known, Published, PublishItem, PublishVerdict, Spent
from streams.record import NEW_STATE, NEW_STATE_TEXT
from streams.schemas import AccountInfo, Amend, Cancel, ClientOrderId, Intent, Order, Place
from streams.scripts import Scripts
from streams.watch import Until, Watch
from streams.wire import answers_within

# The gateways have that long to take an intent before the sweep asks whether its entry is still there.
FIRST_LOOK_MS = 15_000
RETRY_MS = 50
# Intents of one call, and of one that is sent ahead: large enough that what a call costs is shared by many, small
# enough that the server does not wait for long until the first is made, nor the caller for the receipts of the last.
BATCH, CHUNK = 64, 32
# How old an answer of local memory may be: by then an order may have moved on, and a server that was replaced answers
# for itself.
LOCAL_ANSWER_MS = 1_000


class Receipt(Struct, frozen=True, gc=False):
    """What became of one published intent.

    Attributes:
        client_order_id: identity of the order it speaks of.
        duplicate: it was an order before this call.
        order: as it stands, or as it stood within the last second when the answer came from local memory; None for
            a cancel or an amend, which the gateways decide.
        account: where it stands.
        watch: of the producer that gave it.
    """

    client_order_id: ClientOrderId
    duplicate: bool
    order: Order | None
    account: str = ""
    watch: Watch | None = None

    async def wait(self, *, until: Until = "ended", timeout: float | None = None) -> Order:  # noqa: ASYNC109 - part of what is asked
        """Wait until the order stands as asked for, or has ended otherwise.

        Args:
            until: a status, `working` (the venue has it) or `ended`.
            timeout: in seconds; None waits for ever.

        Raises:
            TimeoutError: it does not; the order goes on all the same.
        """
        assert self.watch is not None, "only a producer's own receipt can be waited with"
        return await self.watch.order(self.account, self.client_order_id, until, timeout)


_Identity = tuple[str, str, str, str]  # account, strategy, signal id, leg


class _Answer(Struct, frozen=True, gc=False):
    intent: Place
    receipt: Receipt
    asked_ms: float


class _Reply(Struct, frozen=True):
    verdicts: list[PublishVerdict]
    asked_ms: float  # before the call: an order stood as told no earlier


# A refusal is returned among the receipts of its batch, so that it does not hide the others.
Answer = Receipt | BadIntent


class _Batch(Struct, frozen=True):
    account: str
    intents: Sequence[Intent]
    made: Sequence[PublishItem | BadIntent]  # one per intent
    call_id: str

    @property
    def items(self) -> list[PublishItem]:
        return [one for one in self.made if isinstance(one, PublishItem)]


class IntentProducer:
    """Publishes intents of any account; safe to call again with the same intents, in any process, for ever.

    Attributes:
        answers: local memory of what replies have confirmed.
        duplicates: places that were orders before, since the start.
        conflicts: places whose identity another order has.
    """

    def __init__(self, redis: Redis, *, timeout_ms: int = 2_000, remembers_max: int = 10_000) -> None:
        """Bind it.

        Args:
            redis: a client without retries (`streams.connection.connect`).
            timeout_ms: after it a call gives up with one sentence.
            remembers_max: answers kept in local memory.
        """
        self.answers: Cache[_Identity, _Answer] = Cache(remembers_max)
        self.duplicates = self.conflicts = 0
        self._redis, self._timeout_ms = redis, timeout_ms
        self._is_brief = answers_within(redis, timeout_ms)  # one try needs no time limit beside the connection's own
        self._name, self._calls = secrets.token_urlsafe(6), 0  # together the id of a call
        self._scripts: dict[str, Scripts] = {}  # by account; each remembers which gates it has left
        self._infos: dict[str, AccountInfo] = {}
        self._tables: dict[str, Instruments] = {}
        self._watch = Watch(redis)

    async def place(self, intent: Place) -> Receipt:
        """Publish one place.

        Raises:
            IntentConflict: the identity is taken by another order.
            IntentSpent: it was an order so long ago that its record is forgotten.
            BadIntent: unknown account or symbol, amounts off the venue's grid, or a kind of order it does not take.
            StoreUnreachable: Redis gave no answer within the timeout; publish again, it cannot become two orders.
            HistoryChanged: a server that was replaced answered until the timeout; the same holds.
        """
        [receipt] = await self.publish([intent])
        if not isinstance(receipt, Receipt):
            raise receipt
        return receipt

    def remembered(self, intent: Place) -> Receipt | None:
        """Answer from local memory, in microseconds; None when Redis must be asked.

        Only what a reply has confirmed within the last `LOCAL_ANSWER_MS` is relied upon: how the order stands, and that
        the server's history is the one it was confirmed under.
        """
        known = self.answers.get((intent.account, intent.strategy, intent.signal_id, intent.leg))
        if known is None or _now_ms() - known.asked_ms >= LOCAL_ANSWER_MS or known.intent != intent:
            return None  # other content is for the script to judge
        order = known.receipt
        return order if order.duplicate else msgspec.structs.replace(order, duplicate=True)

    async def cancel(self, intent: Cancel) -> Receipt:
        """Publish one cancel.

        Raises:
            BadIntent: it names no order of ours; else as `place`.
        """
        [receipt] = await self.publish([intent])
        if not isinstance(receipt, Receipt):
            raise receipt
        return receipt

    async def amend(self, intent: Amend) -> Receipt:
        """Publish one amend; the order's own changes tell what became of it.

        Raises:
            BadIntent: amounts off the venue's grid, or an order without a price; else as `place`.
        """
        [receipt] = await self.publish([intent])
        if not isinstance(receipt, Receipt):
            raise receipt
        return receipt

    async def publish(self, intents: Sequence[Intent]) -> list[Answer]:
        """Publish intents of one account, in one call when they are few.

        Many places go in batches on the producer's own connection, each sent while the server takes those before it.
        They stand in the stream in the order given; only where the server refuses one batch alone (it was full for
        that moment), that one stands behind those that were sent ahead. Cancels and amends may be about a place before
        them: many intents with one among them go batch by batch.

        Returns:
            One receipt per intent, in order; a conflict, or what the venue could never take, is returned, so that it
            does not hide the others.
        """
        if not intents:
            return []
        account = intents[0].account
        if any(one.account != account for one in intents):
            raise BadIntent("One publish call is for one account; group the intents by account.")
        local = [self.remembered(one) if isinstance(one, Place) else None for one in intents]
        asked = [one for one, known in zip(intents, local, strict=True) if known is None]
        self.duplicates += len(intents) - len(asked)
        replies = iter(await self._ask(account, asked) if asked else ())
        return [known or next(replies) for known in local]

    async def _ask(self, account: str, intents: Sequence[Intent]) -> list[Answer]:
        refusals: list[StoreError] = []
        try:
            if self._is_brief and len(intents) <= BATCH and self._knows(account, intents):
                return await self._ask_once(self._batch(account, intents), refusals)
            async with asyncio.timeout(self._timeout_ms / 1000):
                await self._learn(account)
                refused = await self._refused(account, intents)
                legal = [one for number, one in enumerate(intents) if number not in refused]
                answers = iter(await self._ask_all(account, legal, refusals))
                return [refused.get(number) or next(answers) for number in range(len(intents))]
        except TimeoutError:
            raise self._given_up(refusals) from None
        except RedisError as error:
            raise StoreUnreachable(f"Redis cannot be asked ({type(error).__name__}); is the server up?") from error

    def _given_up(self, refusals: Sequence[StoreError]) -> StoreError:
        """The last refusal says more than that time is up."""
        if refusals:
            return refusals[-1]
        return StoreUnreachable(
            f"Redis took no intent within {self._timeout_ms} ms; publish again, it cannot become two orders."
        )

    def _batch(self, account: str, intents: Sequence[Intent]) -> _Batch:
        info, self._calls = self._infos[account], self._calls + 1
        return _Batch(account, intents, [_made(one, info) for one in intents], f"{self._name}{self._calls:x}")

    async def _ask_once(self, batch: _Batch, refusals: list[StoreError]) -> list[Answer]:
        try:
            reply = await self._publish(batch)
        except (StoreUnreachable, HistoryChanged) as error:
            refusals.append(error)
            async with asyncio.timeout(self._timeout_ms / 1000):
                reply = await self._insist(batch, refusals)
        return self._receipts(batch, reply)

    async def _ask_all(self, account: str, intents: Sequence[Intent], refusals: list[StoreError]) -> list[Answer]:
        """While the server takes one batch, the next is made and the receipts of the last are written."""
        # A cancel or an amend may be about a place before it, which must not be refused while they are taken.
        ahead = self._is_brief and all(isinstance(one, Place) for one in intents)
        size = CHUNK if ahead else BATCH
        cuts = range(0, len(intents), size)
        batches = (self._batch(account, intents[start : start + size]) for start in cuts)  # each made when it is due
        receipts: list[Answer] = []
        while True:
            sent = await self._send_ahead(account, batches, refusals) if ahead else []
            if not sent:
                batch = next(batches, None)
                if batch is None:
                    return receipts
                sent = [(batch, None)]
            for batch, told in sent:
                receipts += told or self._receipts(batch, await self._insist(batch, refusals))

    async def _send_ahead(
        self, account: str, batches: Iterator[_Batch], refusals: list[StoreError]
    ) -> list[tuple[_Batch, list[Answer] | None]]:
        """Send batches behind one another until one is refused; without receipts are those to be asked for again."""
        sent: list[tuple[_Batch, float]] = []
        answers: list[list[Answer] | None] = []

        def due() -> Iterator[tuple[list[PublishItem], str]]:
            while None not in answers and (batch := next(batches, None)) is not None:
                sent.append((batch, _now_ms()))
                yield batch.items, batch.call_id

        def tell(verdicts: list[PublishVerdict] | None) -> None:
            batch, asked_ms = sent[len(answers)]
            answers.append(None if verdicts is None else self._receipts(batch, _Reply(verdicts, asked_ms)))

        try:
            await self._of(account).publish_ahead(due(), FIRST_LOOK_MS, tell)
        except StoreUnreachable as error:
            refusals.append(error)
        return [(batch, told) for (batch, _), told in zip_longest(sent, answers)]

    def _of(self, account: str) -> Scripts:
        scripts = self._scripts.get(account)
        if scripts is None:
            scripts = self._scripts[account] = Scripts(self._redis, AccountKeys(account))
        return scripts

    async def _publish(self, batch: _Batch) -> _Reply:
        items, asked_ms = batch.items, _now_ms()
        if not items:
            return _Reply([], asked_ms)
        try:
            return _Reply(await self._of(batch.account).publish(items, batch.call_id, FIRST_LOOK_MS), asked_ms)
        except HistoryChanged:
            self.answers.drop_all()
            raise

    async def _insist(self, batch: _Batch, refusals: list[StoreError]) -> _Reply:
        """Call until there is an answer: the script knows the call's id and answers as it did, or would have."""
        give_up_ms, cancels = _now_ms() + self._timeout_ms, _cancels()
        while True:
            try:
                return await self._publish(batch)
            except (StoreUnreachable, HistoryChanged) as error:
                refusals.append(error)
                if _cancels() > cancels:  # a client with a pool swallows one that comes while it sends (Python 3.11)
                    raise asyncio.CancelledError from None
                if _now_ms() >= give_up_ms:  # also where a client library swallowed the cancellation of the timeout
                    raise
                await asyncio.sleep(RETRY_MS / 1000)

    def _receipts(self, batch: _Batch, reply: _Reply) -> list[Answer]:
        told, watch = iter(reply.verdicts), self._watch
        receipts: list[Answer] = []
        known: list[tuple[_Identity, _Answer]] = []
        for intent, made in zip(batch.intents, batch.made, strict=True):
            receipt = made if isinstance(made, BadIntent) else _receipt(watch, intent, made, next(told))
            receipts.append(receipt)
            if isinstance(receipt, Receipt):
                if isinstance(intent, Place):
                    self.duplicates += receipt.duplicate
                    identity = (intent.account, intent.strategy, intent.signal_id, intent.leg)
                    known.append((identity, _Answer(intent, receipt, reply.asked_ms)))
            elif isinstance(receipt, IntentConflict):
                self.conflicts += 1
        self.answers.put_all(known)
        return receipts

    def _knows(self, account: str, intents: Sequence[Intent]) -> bool:
        return (
            account in self._tables
            and not any(isinstance(one, Amend) for one in intents)
            and not self._judged(account, intents, {})
        )

    async def _learn(self, account: str) -> None:
        if account not in self._infos:
            known = await store.accounts(self._redis)
            if account not in known:
                names = ", ".join(sorted(known)) or "none yet; start `fillonce run` first"
                raise BadIntent(f"Unknown account {account}; known: {names}.")
            self._infos = known
        if account not in self._tables:
            await self._read_table(account)

    async def _read_table(self, account: str) -> None:
        self._tables[account] = tabulate(await store.Store(self._redis, AccountKeys(account)).instruments())

    def _judged(self, account: str, intents: Sequence[Intent], amended: Mapping[int, Order]) -> dict[int, str]:
        """Why some of these could never go out, by number; an amend by the order that it names."""
        info, table = self._infos[account], self._tables[account].by_symbol
        found: dict[int, str] = {}
        for number, one in enumerate(intents):
            said = ""
            if isinstance(one, Place):
                instrument = table.get(one.symbol)
                said = _strange(one.symbol, table) if instrument is None else refusal(one, info, instrument)
            elif (order := amended.get(number)) is not None and isinstance(one, Amend):
                instrument = table.get(order.terms.symbol) if order.terms is not None else None
                said = "" if instrument is None else amending.refusal(one, order, instrument)
            if said:
                found[number] = said
        return found

    async def _refused(self, account: str, intents: Sequence[Intent]) -> dict[int, BadIntent]:
        """Refuse what could never go out; not by an old table, and not what was an order when it still could."""
        if self._knows(account, intents):
            return {}
        info = self._infos[account]
        never = {
            number: BadIntent(f"{account}: {said}.")
            for number, one in enumerate(intents)
            if isinstance(one, Place) and (said := unsupported(one, info))
        }
        if len(never) == len(intents):
            return never  # no table and no record could say otherwise
        amended = await self._named(account, intents)
        if not self._judged(account, intents, amended).keys() - never:
            return never
        await self._read_table(account)
        judged, keys = self._judged(account, intents, amended), AccountKeys(account)
        judged = {number: said for number, said in judged.items() if number not in never}
        pipe = self._redis.pipeline(transaction=False)
        for number in judged:
            pipe.exists(keys.order(client_order_id(intents[number], info.id_rule)))
        known = await pipe.execute() if judged else ()
        pairs = zip(judged.items(), known, strict=True)
        return never | {
            number: BadIntent(f"{intents[number].account}: {said}.")
            for (number, said), there in pairs
            if number in amended or not there
        }

    async def _named(self, account: str, intents: Sequence[Intent]) -> dict[int, Order]:
        """Read the orders that amends name, by number; of one that has no record the gateways decide."""
        info, amends = self._infos[account], _amends(intents)
        if not amends:
            return {}
        made = {number: _made(one, info) for number, one in amends.items()}
        names = {number: one.client_order_id for number, one in made.items() if isinstance(one, PublishItem)}
        found = await store.Store(self._redis, AccountKeys(account)).orders(list(names.values()))
        return {number: order for number, order in zip(names, found, strict=True) if order is not None}


def publish_item(intent: Intent, info: AccountInfo, data: str = "") -> PublishItem:
    """Work out everything that follows from an intent alone; `claim` uses it too, for what came by bare XADD."""
    data, identity = data or codec.encode_text(intent), client_order_id(intent, info.id_rule)
    if not isinstance(intent, Place):
        return PublishItem(data, identity)
    valid_until = str(intent.valid_until_ms)
    mark = fingerprint_until(intent, valid_until)
    digest = codec.birth_digest(identity, mark, NEW_STATE_TEXT)
    return PublishItem(data, identity, intent, mark, digest, valid_until)


def _made(intent: Intent, info: AccountInfo) -> PublishItem | BadIntent:
    """What is published of an intent, or why it is not: what nobody can decode would stay in an account for ever."""
    try:
        return publish_item(intent, info, codec.encode_intent(intent))
    except BadIntent as error:
        return error


def _receipt(watch: Watch, intent: Intent, item: PublishItem, verdict: PublishVerdict) -> Answer:
    identity, account = ClientOrderId(item.client_order_id), intent.account
    match verdict:
        case Published(entry, digest) if isinstance(intent, Place):
            order = Order(
                client_order_id=identity,
                terms=intent,
                status="created",
                state=NEW_STATE,
                digest=digest,
                fingerprint=item.fingerprint,
                entry=entry,
                valid_until_ms=int(item.valid_until),
            )
            return Receipt(identity, duplicate=False, order=order, account=account, watch=watch)
        case Known(order):
            return Receipt(identity, duplicate=True, order=order, account=account, watch=watch)
        case Published():
            return Receipt(identity, duplicate=False, order=None, account=account, watch=watch)
        case Spent():
            return IntentSpent(item.client_order_id)
        case Conflict(stored):
            return IntentConflict(item.client_order_id, stored, item.fingerprint)


def _amends(intents: Sequence[Intent]) -> dict[int, Amend]:
    return {number: one for number, one in enumerate(intents) if isinstance(one, Amend)}


def _strange(symbol: str, traded: Iterable[str]) -> str:
    return f"unknown symbol {symbol}; it trades {some_of(traded)}"


def _cancels() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def _now_ms() -> float:
    return time.monotonic_ns() / 1e6
