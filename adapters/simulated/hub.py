"""User data streams: execution reports and balances to whoever is subscribed right now. Nothing is ever replayed."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import orjson
from aiohttp import web

from adapters.simulated.exchange import Exchange
from adapters.simulated.faults import Dice, Kind
from adapters.simulated.form import SPOT, Form
from adapters.simulated.orders import Report
from adapters.simulated.payloads import Payload

MAX_WAITING_FRAMES = 10_000


class Session:
    """One websocket connection: its subscriptions by id, and the frames that wait to be sent.

    A reader too slow for `MAX_WAITING_FRAMES` is cut off.
    """

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.subscriptions: dict[int, str] = {}
        self.next_subscription_id = 0
        self._socket = socket
        self._transport = transport
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING_FRAMES)
        self._sender = asyncio.create_task(self._send())

    def put(self, frame: bytes) -> None:
        """Queue one text frame."""
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Cut the connection without a closing handshake; waiting frames are lost."""
        self.subscriptions.clear()
        self._sender.cancel()
        self._transport.abort()

    async def close(self) -> None:
        """Stop sending."""
        self.subscriptions.clear()
        self._sender.cancel()
        with suppress(asyncio.CancelledError):
            await self._sender

    async def _send(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._socket.send_str((await self._frames.get()).decode())


class Hub:
    """Which sessions listen to which account, and what goes wrong on the way to them."""

    def __init__(self, exchange: Exchange, dice: Dice, now_ms: Callable[[], int], form: Form = SPOT) -> None:
        self.sessions: set[Session] = set()
        self._exchange = exchange
        self._dice = dice
        self._now_ms = now_ms
        self._form = form
        self.ended: list[Callable[[str], None]] = []
        self._held: dict[str, Payload] = {}
        self._closed_until_ms: dict[str | None, int] = {}

    def publish(self, reports: Iterable[Report]) -> None:
        """Send execution reports to their accounts, then the balances they changed."""
        touched: dict[tuple[str, str], None] = {}
        for report in reports:
            touched[report.order.account, report.order.symbol] = None
            self._report(report)
        for account, symbol in touched:
            if not self._heard(account):
                continue
            rules = self._exchange.market(symbol).rules
            assets = (rules.base_asset, rules.quote_asset)
            balances = self._exchange.accounts[account]
            self._send(account, self._form.balances(balances, assets, self._now_ms()))

    def tell(self, account: str, event: Payload) -> None:
        """Send an event that no report causes."""
        self._send(account, event)

    def cut(self, account: str | None) -> int:
        """Cut every connection that listens to an account (None: to any). Returns how many."""
        listening = [each for each in self.sessions if self._listens(each, account)]
        for session in listening:
            session.abort()
        return len(listening)

    def close_for(self, account: str | None, down_ms: int) -> None:
        """Take no subscription to an account (None: to any) for a while."""
        self._closed_until_ms[account] = self._now_ms() + down_ms

    def is_closed(self, account: str) -> bool:
        """Whether a subscription is to be refused now."""
        return max(self._closed_until_ms.get(account, 0), self._closed_until_ms.get(None, 0)) > self._now_ms()

    def terminate(self, account: str | None) -> int:
        """End subscriptions with the product's own event and leave the connections open. Returns how many ended."""
        ended = [
            (session, number)
            for session in self.sessions
            for number, name in session.subscriptions.items()
            if account in {None, name}
        ]
        for session, number in ended:
            self.unsubscribe(session, number)
        return len(ended)

    def unsubscribe(self, session: Session, subscription_id: int) -> None:
        """End one subscription."""
        account = session.subscriptions.pop(subscription_id)
        self._put(session, subscription_id, {"e": self._form.ended, "E": self._now_ms()})
        for tell in self.ended:
            tell(account)

    def _heard(self, account: str) -> bool:
        return any(self._listens(session, account) for session in self.sessions)

    def _report(self, report: Report) -> None:
        account = report.order.account
        if not self._heard(account):
            return
        *before, event = self._form.reports(report, self._now_ms())
        for early in before:
            self._send(account, early)
        kind = self._dice.frame(account)
        match kind:
            case Kind.STREAM_CUT:
                self.cut(account)
            case Kind.DUPLICATED_EXECUTION:
                self._send(account, event)
                self._send(account, event)
            case Kind.DELAYED_EXECUTION:
                self._later(self._dice.faults.delayed_execution_ms, self._send, account, event)
            case Kind.REORDERED_EXECUTION if account not in self._held:
                self._held[account] = event
                self._later(self._dice.faults.reorder_hold_ms, self._release, account, event)
            case _:
                self._send(account, event)
                self._release(account, self._held.get(account))

    def _release(self, account: str, event: Payload | None) -> None:
        if event is not None and self._held.get(account) is event:
            del self._held[account]
            self._send(account, event)

    def _send(self, account: str, event: Payload) -> None:
        for session in list(self.sessions):
            for number, name in session.subscriptions.items():
                if name == account:
                    self._put(session, number, event)

    def _put(self, session: Session, number: int, event: Payload) -> None:
        session.put(orjson.dumps({"subscriptionId": number, "event": event} if self._form.wrapped else event))

    def _listens(self, session: Session, account: str | None) -> bool:
        return any(account in {None, name} for name in session.subscriptions.values())

    def _later(self, delay_ms: int, call: Callable[[str, Payload], None], account: str, event: Payload) -> None:
        asyncio.get_running_loop().call_later(delay_ms / 1000, call, account, event)
