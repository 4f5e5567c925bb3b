"""What tests of the pipeline share: intents, an opened account, and evidence written from the venue's format."""

import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from redis.asyncio import Redis

from adapters.binance.facts import FACTS
from streams import codec, events
from streams.clock import SystemClock
from streams.evidence import append
from streams.identity import fingerprint
from streams.instrument import Instrument, tabulate
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.plans import Claimed, ClaimItem, Look
from streams.producer import publish_item
from streams.reader import Entry, Reader
from streams.record import NEW_STATE_TEXT, claimed_terms
from streams.schemas import AccountInfo, Command, Evidence, Order, Outcome, Place
from streams.scripts import Scripts
from streams.store import Store, register

INSTRUMENTS = tabulate(
    [
        Instrument(
            symbol="BTC/USDT", venue_symbol="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"),
            lot=Decimal("0.00001"), quantity_min=Decimal("0.00001"), notional_min=Decimal(5),
        ),
        Instrument(
            symbol="ETH/USDT", venue_symbol="ETHUSDT", base="ETH", quote="USDT", tick=Decimal("0.01"),
            lot=Decimal("0.0001"), quantity_min=Decimal("0.0001"), notional_min=Decimal(5),
        ),
    ]
)  # fmt: skip
INFO = AccountInfo(venue="binance", id_rule=FACTS.id_rule)
WINDOW_MS, LOOK_MS, LEASE_MS = 5_000, 15_000, 3_000


def place(account: str, signal_id: str = "s1", **changes: Any) -> Place:
    """A limit order for 1 BTC at 50,000, valid for an hour from now."""
    terms: dict[str, Any] = {
        "account": account, "strategy": "test", "signal_id": signal_id,
        "signal_time": datetime.now(UTC).replace(microsecond=0),
        "symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": Decimal(1), "price": Decimal(50_000),
    }  # fmt: skip
    return Place(**{**terms, **changes})


class Bench:
    """One account on the real server, its gate open, driven by hand."""

    def __init__(self, redis: Redis, account: str) -> None:
        self.redis, self.account, self.keys = redis, account, AccountKeys(account)
        self.scripts, self.store, self.clock = Scripts(redis, self.keys), Store(redis, self.keys), SystemClock()

    async def open(self) -> "Bench":
        """Register the account and open its gate."""
        await register(self.redis, self.account, INFO, list(INSTRUMENTS.by_symbol.values()), INSTRUMENTS.version)
        await self.scripts.open_gate((await self.scripts.gate()).history)
        return self

    async def publish(self, *intents: Place) -> list[Any]:
        """Publish, and the verdicts."""
        items = [publish_item(one, INFO) for one in intents]
        return list(await self.scripts.publish(items, secrets.token_hex(4), LOOK_MS))

    def gateway_reader(self, consumer: str = "gateway.0", **settings: Any) -> Reader:
        """A reader of `intents`."""
        chosen = {"count": 100, "claim_idle_ms": 60_000, **settings}
        return Reader(self.redis, self.keys.intents, GATEWAYS, consumer, clock=self.clock, **chosen)

    def ledger_reader(self) -> Reader:
        """A reader of `evidence`."""
        return Reader(
            self.redis, self.keys.evidence, LEDGERS, "ledger", count=100, claim_idle_ms=60_000, clock=self.clock
        )

    async def read_intents(self, consumer: str = "gateway.0") -> list[Entry]:
        """Everything new in `intents`, as a gateway reads it."""
        return [entry async for batch in self.gateway_reader(consumer).batches(burst=True) for entry in batch]

    async def claim(self, entry: Entry, terms: Place, **changes: Any) -> Any:
        """Claim one entry, and the verdict."""
        [verdict] = await self.scripts.claim(
            [self.claim_item(entry.id, terms, **changes)], "gateway.0", WINDOW_MS, LOOK_MS
        )
        return verdict

    def claim_item(self, entry: str, terms: Place, **changes: Any) -> ClaimItem:
        """What a gateway claims for `terms`."""
        item = publish_item(terms, INFO)
        given: dict[str, Any] = {
            "command": "place", "entry": entry, "token": secrets.token_urlsafe(12),
            "client_order_id": item.client_order_id, "fingerprint": fingerprint(terms),
            "valid_until_ms": terms.valid_until_ms, "terms": item.data,
            "state": NEW_STATE_TEXT,
            "digest": codec.birth_digest(item.client_order_id, item.fingerprint, NEW_STATE_TEXT),
            "sent": codec.encode_text({"quantity": str(terms.quantity)}), **changes,
        }  # fmt: skip
        given["kept_terms"], given["kept_sent"] = claimed_terms(terms, orjson.loads(given["sent"]))
        return ClaimItem(**given)

    async def claimed(self, terms: Place) -> tuple[Entry, Claimed]:
        """Publish and claim one order."""
        await self.publish(terms)
        [entry] = await self.read_intents()
        verdict = await self.claim(entry, terms)
        assert isinstance(verdict, Claimed)
        return entry, verdict

    async def say(self, raw: Any = None, *, outcome: Outcome | None = None, order: Order | None = None,
                  token: str = "", form: str = "") -> None:  # fmt: skip
        """Append evidence."""
        command = None
        if outcome is not None:
            assert order is not None
            command = Command(client_order_id=order.client_order_id, token=token or order.token, outcome=outcome)
        said = Evidence(source="stream", format=form, received_at_ns=1, command=command)
        await append(self.redis, self.keys, [(said, orjson.dumps(raw) if raw is not None else b"")])

    async def sweep(self, client_order_id: str) -> list[Look]:
        """Sweep one order as if its next look were due now."""
        await self.redis.zadd(self.keys.live, {client_order_id: 0})
        _, looks = await self.scripts.sweep([client_order_id], 30_000, 100, 5_000)
        return looks

    async def order(self, client_order_id: str) -> Order:
        """The record as it stands."""
        [order] = await self.store.orders([client_order_id])
        assert order is not None
        return order

    async def journal(self) -> list[events.AnyChange]:
        """Every change since the gate opened, in order."""
        rows: Any = await self.redis.xrange(self.keys.events)
        changes = [change for _, fields in rows for change in events.decode(fields[b"data"]).changes]
        return [change for change in changes if not isinstance(change, events.Opened | events.Shut)]

    async def pending(self, stream: str, group: str) -> int:
        """How many entries are delivered and not acknowledged."""
        return int((await self.redis.xpending(stream, group))["pending"])


def execution(order_id: int, trade_id: int, client_order_id: str, **changes: Any) -> dict[str, Any]:
    """An executionReport of Binance spot for one trade, as the ws-api wraps it."""
    at_ms = 1_700_000_000_000 + trade_id
    event = {
        "e": "executionReport", "E": at_ms, "s": "BTCUSDT", "c": client_order_id, "S": "BUY", "o": "LIMIT", "f": "GTC",
        "q": "1.00000000", "p": "50000.00000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "TRADE",
        "X": "PARTIALLY_FILLED", "r": "NONE", "i": order_id, "l": "0.40000000", "z": "0.40000000",
        "L": "50000.00000000", "n": "0.00000000", "N": "BNB", "T": at_ms, "t": trade_id, "I": trade_id * 7, "w": False,
        "m": True, "M": True, "O": 1_700_000_000_000, "Z": "20000.00000000", "Y": "20000.00000000", "Q": "0.00000000",
        "V": "NONE",
    }  # fmt: skip
    return {"subscriptionId": 0, "event": {**event, **changes}}


def status(order_id: int, client_order_id: str, kind: str = "NEW", **changes: Any) -> dict[str, Any]:
    """An executionReport that reports a status without a trade."""
    words = {"NEW": "NEW", "CANCELED": "CANCELED", "EXPIRED": "EXPIRED"}
    return execution(
        order_id, -1, client_order_id, x=kind, X=words[kind], l="0", z=changes.pop("z", "0"), N=None, n="0", **changes
    )


def soon(seconds: float) -> datetime:
    """A moment from now, in whole milliseconds."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
