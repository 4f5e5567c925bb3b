"""The scripts as typed calls: plans in, verdicts out. The only place where an answer becomes a type.

Each method is one script and one round trip. Plans are msgpack; the Lua header of each file is the contract.
"""

import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec
from msgspec.structs import astuple
from redis.asyncio import Redis

from streams import codec
from streams.budget import Grant
from streams.errors import GateMoved, HistoryChanged, SpentChanged
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.passage import Passage
from streams.plans import (
    AdjustPlan,
    ClaimItem,
    ClaimVerdict,
    CommitPlan,
    Committed,
    GateState,
    ImportItem,
    Lease,
    Look,
    OrderPlan,
    ParkPlan,
    PublishItem,
    PublishVerdict,
    SettleItem,
    StreamState,
)
from streams.record import NEW_STATE_TEXT
from streams.schemas import Order
from streams.script_loader import Args, call, call_ahead
from streams.verdicts import claim_verdict, order_of, publish_verdict
from streams.wire import SPIN_NS

BATCH_MAX = 256  # entries of one call; it keeps a call under a few ms, so that nobody else waits long
TRIES = 4  # the months change once a month, the gate's opening once a restart
PARKED_MAX = 500  # executions that may wait for one order; an iceberg in small pieces stays below it


_pack: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
_json: Callable[[object], bytes] = msgspec.json.Encoder().encode
_TERMS = ",".join(codec.TERMS)


class Scripts:
    """The scripts of one account on one connection.

    Attributes:
        passage: the gate's openings it has seen; `publish` and `claim` pass one and never go back to one it left.
    """

    def __init__(self, redis: Redis, keys: AccountKeys) -> None:
        """Bind them; nothing is sent yet."""
        self._redis, self._keys = redis, keys
        self._four = (keys.intents, keys.events, keys.control, keys.live)
        self.passage = Passage()
        self._months = ""  # of spent identities; the scripts say when they are others

    async def publish(self, items: Sequence[PublishItem], call_id: str, look_ms: int) -> list[PublishVerdict]:
        """Publish intents. Repeating the call with the same `call_id` gives the same answer."""
        answers = await self._passing(
            lambda: call(
                self._redis,
                "publish",
                *self._publishing(items, call_id, look_ms),
                spin_ns=SPIN_NS if len(items) == 1 else 0,
            )
        )
        return list(map(publish_verdict, items, answers))

    async def publish_ahead(
        self,
        batches: Iterable[tuple[Sequence[PublishItem], str]],
        look_ms: int,
        tell: Callable[[list[PublishVerdict] | None], None],
    ) -> None:
        """Publish batches, each sent while the server works on those before.

        Before the first `publish` has found the gate's opening, nothing is sent and nothing taken from `batches`.

        Args:
            batches: intents and the id of their call, made when they are due.
            look_ms: as of `publish`.
            tell: takes the answers in their turn; None for a batch that was refused, which `publish` may repeat.

        Raises:
            StoreUnreachable: no answer; what was not told of may have been done, and `publish` may repeat it.
        """
        sent: deque[Sequence[PublishItem]] = deque()

        def due() -> Iterator[tuple[list[str], Args]]:
            for items, call_id in batches:
                sent.append(items)
                yield self._publishing(items, call_id, look_ms)

        def told(answers: Any) -> None:
            items = sent.popleft()
            tell(None if answers is None else list(map(publish_verdict, items, answers)))

        if self.passage.current:
            await call_ahead(self._redis, "publish", due(), told)

    def _publishing(self, items: Sequence[PublishItem], call_id: str, look_ms: int) -> tuple[list[str], Args]:
        """Keys and arguments of one call."""
        orders = [self._keys.order(item.client_order_id) for item in items if item.terms]
        plan: list[str] = []
        for item in items:
            plan += (item.data, item.client_order_id, item.fingerprint, item.digest, item.valid_until)
        args: Args = [_pack(plan), call_id, look_ms, self._months, self.passage.current, NEW_STATE_TEXT, GATEWAYS]
        return [*self._four, *self._spent(), *orders], args

    async def claim(
        self, items: Sequence[ClaimItem], gateway: str, window_ms: int, look_ms: int, exposure: str = ""
    ) -> list[ClaimVerdict]:
        """Claim entries. Repeating the call with the same tokens gives the same claims.

        Args:
            items: what to claim.
            gateway: who claims.
            window_ms: the send window.
            look_ms: first look at a record made here.
            exposure: name of the exposure that judged items were held against.
        """
        orders = [self._keys.order(item.client_order_id) for item in items]
        packed = _pack(items)
        now, *answers = await self._passing(
            lambda: call(
                self._redis, "claim", [*self._four, self._keys.ended, *self._spent(), *orders],
                [packed, GATEWAYS, gateway, window_ms, look_ms, self._months, self.passage.current, exposure],
            )
        )  # fmt: skip
        return [
            claim_verdict(self._keys.account, item, int(now), answer)
            for item, answer in zip(items, answers, strict=True)
        ]

    async def known(self, client_order_id: str) -> bool:
        """Ask whether an identity has a record."""
        return bool(await self._redis.exists(self._keys.order(client_order_id)))

    async def settle(self, *, evidence: bytes, raw: bytes, **told: Any) -> bool:
        """Settle one claim; the rest are fields of `SettleItem`."""
        item = SettleItem(**told, evidence=evidence.decode(), size=len(raw))
        [settled] = await self.settle_all([(item, raw)])
        return settled

    async def settle_all(self, answers: Sequence[tuple[SettleItem, bytes]]) -> list[bool]:
        """Append answers, each with the venue's bytes, to `evidence`; for each whether its claim is settled.

        The intent's entry is acknowledged with it; with `again` it stays pending and may be claimed again. A repeated
        call finds what was stored.
        """
        k = self._keys
        keys = [k.intents, k.evidence, k.control, *(k.order(item.client_order_id) for item, _ in answers)]
        plan = _pack([item for item, _ in answers])
        verdicts = await call(self._redis, "settle", keys, [plan, GATEWAYS, b"".join([raw for _, raw in answers])])
        return [verdict == b"settled" for verdict in verdicts]

    async def commit(self, plan: CommitPlan, epoch: int, lease_ms: int) -> Committed:
        """Commit a folded batch."""
        k = self._keys
        keys = [k.evidence, k.events, k.control, k.live, k.parked_index, k.positions, k.ended, *plan.keys]
        packed, changes = _laid_out(plan)
        args: Args = [packed, ",".join(plan.passed), LEDGERS, epoch, lease_ms, changes]
        verdicts, acknowledged = await call(self._redis, "commit", keys, args)
        return Committed(verdicts, acknowledged)

    async def park(self, plan: ParkPlan, epoch: int, lease_ms: int) -> Literal["parked", "known", "full"]:
        """Park executions of one order that is not known here."""
        k = self._keys
        keys = [k.evidence, k.events, k.control, k.parked_index, plan.parked_key, plan.venue_order_key]
        keys.append(plan.order_key or plan.venue_order_key)
        args: Args = [LEDGERS, plan.entry, _pack(plan.executions), epoch, lease_ms, PARKED_MAX]
        answer: bytes = await call(self._redis, "park", keys, args)
        return answer.decode()  # type: ignore[return-value]  # the three words of the contract

    async def lapse(self, venue_order: str, age_ms: int) -> int:
        """Let executions lapse that waited too long for an order (`BTCUSDT:123`); how many still wait."""
        k = self._keys
        parked_key = k.parked(*venue_order.split(":", 1))
        keys = [k.quarantine, k.events, k.control, k.parked_index, parked_key]
        return int(await call(self._redis, "lapse", keys, [_json(venue_order), age_ms, BATCH_MAX]))

    async def adjust(self, plan: AdjustPlan, epoch: int, lease_ms: int) -> bool:
        """Adjust holdings or a position beside all orders; False when one of them has changed meanwhile."""
        k = self._keys
        keys = [
            k.evidence, k.events, k.control, k.holdings, k.positions, plan.position or k.positions, k.parked_index,
            plan.parked or k.parked_index,
        ]  # fmt: skip
        args: Args = [
            LEDGERS, plan.entry, plan.id, _pack(plan.amounts), plan.change, epoch, lease_ms, _pack(plan.moved),
            plan.execution,
        ]  # fmt: skip
        return bool(await call(self._redis, "adjust", keys, args) == b"adjusted")

    async def report(self, report_id: str, change: str, summary: str) -> None:
        """Keep the report of a reconciliation: in the journal, and a summary for `status`."""
        await call(self._redis, "report", [self._keys.control, self._keys.events], [report_id, change, summary])

    async def quarantine(
        self, *, stream: str, group: str, entry: str, reason: bytes, raw: bytes, change: bytes, epoch: int | None = None
    ) -> bool:
        """Quarantine an entry; False when somebody dealt with it before."""
        k = self._keys
        keys = [stream, k.quarantine, k.events, k.control]
        args: Args = [group, entry, reason, raw, change, "" if epoch is None else epoch]
        verdict, _ = await call(self._redis, "quarantine", keys, args)
        return bool(verdict == b"quarantined")

    async def sweep(
        self, client_order_ids: Sequence[str], calm_ms: int, retry_min_ms: int, retry_max_ms: int
    ) -> tuple[int, list[Look]]:
        """Sweep orders that are due; the server's time in ms, and those to ask the venue about."""
        keys = [*self._four, self._keys.ended, *(self._keys.order(one) for one in client_order_ids)]
        args: Args = [
            _pack(client_order_ids),
            GATEWAYS,
            calm_ms,
            retry_min_ms,
            retry_max_ms,
            self._keys.account,
            _TERMS,
        ]
        now, *answers = await call(self._redis, "sweep", keys, args)
        looks = [
            Look(order_of(self._keys.account, one, answer[1:]))
            for one, answer in zip(client_order_ids, answers, strict=True)
            if answer[0] == b"look"
        ]
        return int(now), looks

    async def import_orders(self, items: Sequence[ImportItem], history: str, cause: str = "history") -> list[str]:
        """Import orders of this history of the server; per item `imported`, `lost`, `doubted`, `known` or `spent`."""
        k = self._keys
        orders = [k.order(item.client_order_id) for item in items]
        packed, why = _pack(items), _json(cause)
        answers: list[bytes] = await self._counting(
            lambda: call(
                self._redis, "import", [k.events, k.live, k.control, *self._spent(), *orders],
                [packed, history, why, self._months],
            )
        )  # fmt: skip
        return [answer.decode() for answer in answers]

    async def lease(self, action: Literal["take", "release"], holder: str, lease_ms: int) -> Lease:
        """Take, keep or give back the ledger's lease."""
        epoch, owner, left = await call(self._redis, "lease", [self._keys.control], [action, holder, lease_ms])
        return Lease(int(epoch), owner.decode(), int(left))

    async def halt(self, action: Literal["halt", "reduce", "resume"], reason: str, who: str, scope: str = "") -> int:
        """Turn a switch; the server's time in ms. Scopes: `global`, `strategy:NAME`, `symbol:SYMBOL`, the account."""
        args: Args = [action, _json(reason), _json(who), f":{scope}" if scope else "", _json(scope), ""]
        _, now = await call(self._redis, "halt", [self._keys.control, self._keys.events], args)
        return int(now)

    async def clear(self, reason: str, who: str, scope: str, token: str) -> None:
        """Say that the orders of a scope are being cancelled; `token` names this time and is never used again."""
        args: Args = ["cancel", _json(reason), _json(who), f":{scope}" if scope else "", _json(scope), token]
        await call(self._redis, "halt", [self._keys.control, self._keys.events], args)

    async def gate(self) -> GateState:
        """Ask whether the gate is open."""
        return await self._gate("ask", "", "")

    async def open_gate(self, history: str, *, guarded: bool = False) -> GateState:
        """Open the gate for the history that was reconciled; it stays shut if the server has another one now.

        Args:
            history: as an earlier call answered it.
            guarded: new exposure waits until it is enabled.
        """
        return await self._gate("open", history, secrets.token_urlsafe(12), "guarded" if guarded else "")

    async def enable(self, opening: str) -> GateState:
        """Let new exposure out under this opening of the gate, if nothing but this is waited for."""
        return await self._gate("enable", "", opening)

    async def shut_gate(self, opening: str) -> GateState:
        """Shut the gate if its opening is the one named."""
        return await self._gate("shut", "", opening)

    async def _gate(
        self, action: Literal["ask", "open", "enable", "shut"], history: str, opening: str, guarded: str = ""
    ) -> GateState:
        keys = [self._keys.control, self._keys.events, self._keys.evidence]
        args: Args = [action, history, opening, guarded, LEDGERS]
        verdict, *told = await call(self._redis, "gate", keys, args)
        ours, reconciled, name, waits_for = (one.decode() for one in told)
        return GateState(verdict == b"open", ours, reconciled, name, waits_for)

    async def stream(
        self, action: Literal["lost", "whole", "keep"], listener: str, connection: str, *, reason: str = "",
        lease_ms: int = 0, entry: str = "",
    ) -> StreamState:  # fmt: skip
        """Say how the private stream stands.

        Args:
            action: `lost`, `whole` when what was missed is in `evidence`, `keep` while it still is.
            listener: who says so.
            connection: of which; empty when it was none.
            reason: of the loss.
            lease_ms: for how long it is vouched for.
            entry: whole: of `evidence`, to be applied before; keep: `stored` when everything heard is stored.
        """
        k = self._keys
        told = _json(reason) if action == "lost" else ""
        args: Args = [action, listener, connection, told, lease_ms, LEDGERS, entry]
        state, until = await call(self._redis, "stream", [k.control, k.events, k.evidence], args)
        return StreamState(state.decode(), until.decode())

    async def signs(self) -> Sequence[bytes | None]:
        """Read what moves whenever entries that wait may be claimed again.

        The gate's opening is of it: a start may begin and end between two looks, and leave nothing else behind.
        """
        found: Any = await self._redis.hmget(self._keys.control, ("switched_at", "stream_at", "starting", "gate"))
        return list(found)

    async def forget(
        self, client_order_id: str, order: Order | None, venue_symbol: str, retention_ms: int, month: str
    ) -> bool:
        """Forget an order that ended long ago; False when it is too young or has changed."""
        k, ids = self._keys, order.state.venue_order_ids if order else ()
        mapped = [k.venue_order(venue_symbol, one) for one in ids]
        keys = [k.events, k.control, k.ended, k.spent(month), k.order(client_order_id), *mapped]
        args: Args = [client_order_id, order.digest if order else "", retention_ms, month]
        return bool(await call(self._redis, "forget", keys, args) == b"forgotten")

    async def spend(self, key: str, plan: bytes) -> Grant:
        """Spend of a request budget; see `streams.budget.plan`. A call that is repeated spends once more."""
        wait_ms, granted, good_ms = await call(self._redis, "rate", [key], [plan])
        return Grant(int(wait_ms), int(granted), int(good_ms))

    async def blocked_ms(self, key: str, field: str) -> int:
        """Ask for how long a venue answers nothing; a read, which no disk has to confirm."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hget(key, field)
        pipe.time()
        stored, (seconds, micros) = await pipe.execute()
        until_ms = msgspec.msgpack.decode(stored, type=int) if stored else 0
        return max(0, until_ms - int(seconds) * 1000 - int(micros) // 1000)

    async def _passing(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """Call a script that must be told the gate's opening and the months of spent identities, as it has them."""
        if not self.passage.current:
            self.passage.enter((await self.gate()).opening)
        for _ in range(TRIES):
            try:
                return await step()
            except GateMoved as moved:
                await self._pass(moved.token)
            except SpentChanged:
                await self._count()
        return await step()

    async def _counting(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """Call a script that must be told the months of spent identities, as it has them."""
        for _ in range(TRIES):
            try:
                return await step()
            except SpentChanged:
                await self._count()
        return await step()

    async def _count(self) -> None:
        stored: Any = await self._redis.hget(self._keys.control, "spent")
        self._months = stored.decode() if stored else ""

    async def _pass(self, opening: str) -> None:
        """Go through the gate's present opening, or shut one that was left before.

        Raises:
            HistoryChanged: what was read under another opening is to be dropped first.
        """
        match self.passage.enter(opening):
            case "same":
                return
            case "left":
                await self.shut_gate(opening)
                raise HistoryChanged("A server that was replaced answers again; trading waits until it is reconciled.")
            case "next":
                raise HistoryChanged("The gate was opened anew; what was read before is dropped.")

    def _spent(self) -> list[str]:
        return [self._keys.spent(month) for month in self._months.split(",") if month]


def _laid_out(plan: CommitPlan) -> tuple[bytes, str]:
    """Lay a plan out as the script takes it: flat lists, which cost it a third of nested ones; and the changes."""
    places = list(chain.from_iterable(map(astuple, plan.orders)))
    width = len(OrderPlan.__struct_fields__)
    changes: list[str] = places[width - 1 :: width]  # the last of each order
    del places[width - 1 :: width]
    entries = list(chain.from_iterable(map(astuple, plan.entries)))
    ids, orders, executions = entries[::3], entries[1::3], entries[2::3]
    lengths = [len(one) if one.isascii() else len(one.encode()) for one in changes]  # in bytes, as Lua counts
    asked = [place for one in plan.asked for place in (one.key, len(one.executions), *one.executions)]
    proofs = executions if any(executions) else ()
    packed = _pack((places, plan.positions, ids, orders, proofs, lengths, asked))
    return packed, ",".join(filter(None, changes))
