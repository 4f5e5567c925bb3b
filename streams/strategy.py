"""A strategy: a FastStream router whose handlers are called with typed events and answer with intents.

    app = Strategy("hedger")

    @app.on(Fill)
    async def hedge(fill: Fill) -> Place:
        return Place(strategy=app.name, signal_id=f"hedge-{fill.event_id}", ...)

What FastStream's documentation says of subscribers holds: middlewares, `Depends`, `Context`, filters by decorators of
your own, `TestRedisBroker`. Only the reading is not FastStream's, because its stream subscriber never reads again what
it left pending; `streams.delivery` feeds the handlers instead. Handling an event twice is harmless as long as a
signal id is made from the event (its `event_id`, the order's `signal_id`, a tick's `due_ms`), not from a clock.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec
from fast_depends.msgspec.serializer import MsgSpecSerializer
from faststream import BaseMiddleware, Context
from faststream._internal.endpoint.subscriber import SubscriberUsecase
from faststream.redis import RedisBroker, RedisRouter
from faststream.redis.message import PubSubMessage, RedisChannelMessage
from faststream.redis.subscriber.usecases.channel_subscriber import ChannelSubscriber

from streams.delivery import Handler, Patience
from streams.errors import BadIntent, UsageError
from streams.notices import (
    AmendDeclined,
    Fill,
    FillTakenBack,
    HoldingsChanged,
    Journal,
    Mark,
    Notice,
    OrderChanged,
    PositionChanged,
    Snapshot,
    Tick,
)
from streams.producer import Answer, IntentProducer, Receipt
from streams.schemas import Cancel, Intent, Word

if TYPE_CHECKING:
    from faststream._internal.endpoint.call_wrapper import HandlerCallWrapper

INTENTS = "intents"  # where a handler's answers go: published by the IntentProducer, never as a message
PRODUCER = "intent_producer"
KINDS: dict[type[Notice], str] = {
    Fill: "fill",
    FillTakenBack: "taken_back",
    HoldingsChanged: "holdings",
    OrderChanged: "order",
    AmendDeclined: "amend_declined",
    PositionChanged: "position",
    Snapshot: "snapshot",
    Mark: "mark",
    Journal: "journal",
    Tick: "tick",
}

OF_ORDERS = (Fill, FillTakenBack, HoldingsChanged, OrderChanged, AmendDeclined, PositionChanged)

# The producer of the process, as a parameter of a handler: `async def hedge(fill: Fill, intents: Intents)`.
Intents = Annotated[IntentProducer, Context(PRODUCER)]

Answered = Intent | Sequence[Intent] | None

_N = TypeVar("_N", bound=Notice)
_P = ParamSpec("_P")
_R = TypeVar("_R", bound=Answered | Awaitable[Answered])


class Wire(Protocol[_N]):
    """A decorator for functions that take one kind of event first, and answer with intents or nothing."""

    def __call__(self, function: Callable[Concatenate[_N, _P], _R], /) -> "HandlerCallWrapper[Concatenate[_N, _P], _R]":
        """Make a handler of a function."""
        ...


class Strategy(RedisRouter):
    """A typed router, wired to the `events` of its accounts.

    Attributes:
        name: the `strategy` of its intents; it is told of the orders that have this name, and names its place in
            the journal, so a renamed strategy begins anew.
        accounts: where it trades; empty means every account of the settings.
        copy: tells copies apart that run side by side: each hears everything, and what they publish alike is one order.
        patience: with handlers that raise.
        intents: FastStream's publisher of the handlers' answers; `intents.mock` tells a test what was answered.
    """

    def __init__(
        self, name: str, *, accounts: Iterable[str] = (), copy: str = "", patience: Patience | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        """Make a router without handlers.

        Args:
            name: see above.
            accounts: see above.
            copy: see above.
            patience: see above.
            options: of FastStream's `RedisRouter`: `middlewares`, `dependencies` and so on.

        Raises:
            UsageError: no intent could have this name.
        """
        try:
            msgspec.convert(name, Word)
        except msgspec.ValidationError as error:
            raise UsageError(f"A strategy's name is up to 128 printable ASCII signs, not {name!r}: {error}.") from None
        options["middlewares"] = (*options.get("middlewares", ()), _Silence)
        super().__init__(**options)
        self.name, self.accounts, self.copy, self.patience = name, tuple(accounts), copy, patience or Patience()
        self.intents = self.publisher(INTENTS, schema=None, include_in_schema=False)
        self.periods_ms: set[int] = set()  # of the ticks it asked for
        self._fed: dict[str, list[_FedSubscriber]] = {}

    def on(self, kind: type[_N], **options: Any) -> Wire[_N]:
        """Call a function with every event of one kind.

        Kinds are `Fill`, `FillTakenBack`, `HoldingsChanged`, `OrderChanged`, `AmendDeclined`, `PositionChanged`,
        `Mark` and `Snapshot`.
        `Journal` is for whoever watches an account as a whole. What the function returns (an intent, several, or
        nothing) is published before the event counts as handled. `Snapshot` comes once at every start, before
        everything else.

        Args:
            kind: which.
            options: of FastStream's `subscriber`.
        """
        if kind not in KINDS:
            raise UsageError(f"A strategy is told of {', '.join(one.__name__ for one in KINDS)}; not of {kind}.")
        return self._feed(KINDS[kind], kind, options)

    def every(self, seconds: float, **options: Any) -> Wire[Tick]:
        """Call a function with a `Tick` at every multiple of a period."""
        period_ms = round(seconds * 1000)
        if period_ms < 1:
            raise UsageError(f"A period is at least a millisecond, not {seconds} s.")
        self.periods_ms.add(period_ms)
        return self._feed(f"tick.{period_ms}", Tick, options)

    def hears(self, kind: type[Notice]) -> bool:
        """Whether anything is called with events of one kind."""
        return KINDS[kind] in self._fed

    @property
    def of_orders(self) -> bool:
        """Whether anything is to be told of orders or positions."""
        return any(KINDS[kind] in self._fed for kind in OF_ORDERS)

    def handlers(self, notice: Notice) -> Sequence[Handler]:
        """Give what is to be called with an event, in the order it was written."""
        channel = f"tick.{notice.period_ms}" if isinstance(notice, Tick) else KINDS[type(notice)]
        return [one.feed for one in self._fed.get(channel, ())]

    def broker(self, url: str = "redis://localhost:6379", producer: IntentProducer | None = None) -> RedisBroker:
        """Make a broker with this strategy on it, for `TestRedisBroker` or an application of your own.

        Args:
            url: of the server.
            producer: publishes what handlers answer; without it answers are messages, which is what tests want.
        """
        middlewares = [] if producer is None else [_Publishing(producer, f"strategy:{self.name}")]
        broker = RedisBroker(
            url,
            logger=None,  # type: ignore[arg-type]  # FastStream's way to turn two lines per message off
            serializer=MsgSpecSerializer(),
            middlewares=middlewares,
        )
        broker.context.set_global(PRODUCER, producer)
        broker.include_router(self)
        return broker

    def _feed(self, channel: str, kind: type[_N], options: dict[str, Any]) -> Wire[_N]:
        decode = msgspec.json.Decoder(kind)

        async def parser(raw: PubSubMessage, original: Callable[[Any], Awaitable[Any]]) -> Any:
            body: Any = raw["data"]
            if not isinstance(body, Notice):
                return await original(raw)
            return RedisChannelMessage(
                raw_message=raw, body=b"", message_id=body.event_id, correlation_id=body.event_id
            )

        async def decoder(message: RedisChannelMessage) -> Any:
            body: Any = message.raw_message["data"]
            return body if isinstance(body, Notice) else decode.decode(message.body)

        def wired(function: Callable[Concatenate[_N, _P], _R]) -> "HandlerCallWrapper[Concatenate[_N, _P], _R]":
            subscriber = self.subscriber(channel, parser=parser, decoder=decoder, no_reply=True, **options)
            # The same subscriber in all but where its messages come from.
            subscriber.__class__ = _FedSubscriber
            assert isinstance(subscriber, _FedSubscriber)
            self._fed.setdefault(channel, []).append(subscriber)
            return self.intents(subscriber(function))

        return wired


class _FedSubscriber(ChannelSubscriber):
    """A FastStream subscriber that is handed its messages; an error of its handler reaches whoever hands them."""

    __slots__ = ()

    async def start(self) -> None:
        await SubscriberUsecase.start(self)
        self._post_start()

    async def feed(self, notice: Notice) -> None:
        """Have the handler deal with one event, answers and middlewares included."""
        message: Any = {"type": "message", "channel": self.channel.name, "data": notice, "pattern": None}
        await self.process_message(message)


class _Silence(BaseMiddleware):
    """A handler that answers nothing publishes nothing."""

    async def publish_scope(self, call_next: Callable[[Any], Awaitable[Any]], cmd: Any) -> Any:
        if cmd.destination == INTENTS and (cmd.body is None or cmd.body == []):
            return None
        return await call_next(cmd)


class _Publishing:
    """Publishes answers as intents instead of as messages; FastStream makes one scope of it for every message."""

    def __init__(self, producer: IntentProducer, who: str) -> None:
        self._producer, self._who = producer, who

    def __call__(self, msg: Any, /, *, context: Any) -> "_Scope":
        return _Scope(msg, context=context, producer=self._producer, who=self._who)


class _Scope(BaseMiddleware):
    def __init__(self, msg: Any, /, *, context: Any, producer: IntentProducer, who: str) -> None:
        super().__init__(msg, context=context)
        self._producer, self._who = producer, who

    async def publish_scope(self, call_next: Callable[[Any], Awaitable[Any]], cmd: Any) -> Any:
        if cmd.destination != INTENTS:
            return await call_next(cmd)
        return await publish(self._producer, cmd.body, self._who)


async def publish(producer: IntentProducer, answered: Any, who: str) -> list[Receipt]:
    """Publish what a handler answered, one batch per account, in the order it was given.

    Args:
        producer: by which.
        answered: by the handler.
        who: asks for the cancels that name nobody.

    Raises:
        BadIntent: something else was answered, or an identity is taken by another order.
        StoreError: as `IntentProducer.publish`; publish again, it cannot become two orders.
    """
    if answered is None:
        return []
    intents = [answered] if isinstance(answered, Intent) else answered
    if not isinstance(intents, list | tuple) or not all(isinstance(one, Intent) for one in intents):
        raise BadIntent(f"A handler answers with Place, Cancel or Amend, several of them, or None; not {answered!r}.")
    by_account: dict[str, list[Intent]] = {}
    for one in intents:
        by_account.setdefault(one.account, []).append(_asked(one, who))
    answers: list[Answer] = []
    for one in by_account.values():
        answers += await producer.publish(one)
    refused = [one for one in answers if not isinstance(one, Receipt)]
    if refused:
        raise refused[0]
    return [one for one in answers if isinstance(one, Receipt)]


def _asked(intent: Intent, who: str) -> Intent:
    return msgspec.structs.replace(intent, who=who) if isinstance(intent, Cancel) and not intent.who else intent
