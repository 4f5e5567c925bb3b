"""The venue's front door: who asks, what may go wrong, and what is answered. REST and websocket are two ways in."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, assert_never

import msgspec
import orjson

from adapters.simulated import batches, lookups, payloads, refusals, requests
from adapters.simulated.exchange import Exchange
from adapters.simulated.faults import Dice, Faults, Kind
from adapters.simulated.form import SPOT
from adapters.simulated.hub import Hub
from adapters.simulated.limits import Meter
from adapters.simulated.liquidity import House, Liquidity
from adapters.simulated.orders import Outcome
from adapters.simulated.refusals import Refusal
from adapters.simulated.requests import Params, Window
from adapters.simulated.settings import AccountSettings, Settings
from adapters.simulated.usdm import USDM
from adapters.simulated.usdm_exchange import UsdmExchange

Deed = Literal["place", "cancel", "amend", "place many", "cancel many"]


class Caller(msgspec.Struct, frozen=True):
    """An authenticated request: whose it is, its parameters, and how long it is good for."""

    account: str
    params: Mapping[str, str]
    window: Window


class Answer(msgspec.Struct, frozen=True):
    """What goes back. `dropped` closes the connection instead."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    dropped: bool = False


class Venue:
    """One simulated venue. Everything below this line of the code is pure, but for the hub's sockets and the clock."""

    def __init__(self, settings: Settings, seed: int, faults: Faults) -> None:
        self.settings = settings
        self.form = USDM if settings.product == "usdm" else SPOT
        kind = UsdmExchange if settings.product == "usdm" else Exchange
        self.exchange = kind(settings.symbols, {each.name: each.balances for each in settings.accounts}, settings.fees)
        self.dice = Dice(seed, faults)
        self.meter = Meter(settings.limits, settings.product)
        self.hub = Hub(self.exchange, self.dice, self.now_ms, self.form)
        self.liquidity = settings.liquidity
        self.clock_offset_ms = 0
        self._houses = [House(seed, rules) for rules in settings.symbols]
        for told in settings.accounts:
            self.exchange.accounts[told.name].may_withdraw = told.may_withdraw
        self._keys = {account.api_key: account for account in settings.accounts}
        self._seed = seed
        self._made_ids = 0

    def now_ms(self) -> int:
        """The venue's clock in milliseconds; a test may set it apart from the machine's."""
        return time.time_ns() // 1_000_000 + self.clock_offset_ms

    def key(self, api_key: str | None) -> AccountSettings:
        """The account of an API key.

        Raises:
            Refusal: -2014 or -2015.
        """
        if not api_key:
            raise refusals.key_format()
        if api_key not in self._keys:
            raise refusals.unknown_key()
        return self._keys[api_key]

    def authenticate(self, account: AccountSettings, params: Params, text: str, signature: str) -> Caller:
        """Check signature and time of a signed request. `text` is what the signature must cover.

        Raises:
            Refusal: -1022, -1021, -1102 or -1131.
        """
        window = requests.window(params)
        requests.check_signature(account.secret, text, signature)
        window.check(self.now_ms())
        return Caller(account.name, params, window)

    async def order(self, caller: Caller, deed: Deed) -> Answer:
        """Place, cancel or amend, one or several, with whatever fault the dice hold for it."""
        faults, kind = self.dice.faults, self.dice.order()
        if kind is Kind.THROTTLED:
            return refused(refusals.too_much_weight(6000, 1))
        if kind is Kind.SERVER_ERROR:
            broken = self.dice.broken()
            if broken.done:
                self._act(caller, deed)
            return Answer(broken.status, broken.body, broken.content_type)
        if kind is Kind.LATE_ENTRY:
            await asyncio.sleep(faults.late_entry_ms / 1000)
        answer = self._act(caller, deed)
        if kind is Kind.ACCEPT_THEN_DROP:
            return msgspec.structs.replace(answer, dropped=True)
        if kind is Kind.CUT_BODY and answer.status == 200:
            return msgspec.structs.replace(answer, body=answer.body[: self.dice.cut(len(answer.body))])
        if kind is Kind.LATE_ANSWER:
            await asyncio.sleep(faults.late_answer_ms / 1000)
        if kind is Kind.EXECUTION_BEFORE_ANSWER:
            await asyncio.sleep(faults.answer_hold_ms / 1000)
        return answer

    async def lookup(self, caller: Caller, path: str) -> Answer:
        """Answer a signed look-up; now and then it fails or takes its time."""
        kind = self.dice.lookup()
        if kind is Kind.SERVER_ERROR:
            broken = self.dice.broken()
            return Answer(broken.status, broken.body, broken.content_type)
        if kind is Kind.LATE_ANSWER:
            await asyncio.sleep(self.dice.faults.late_answer_ms / 1000)
        asker = lookups.Asker(caller.account, self.now_ms(), self.form)
        try:
            return Answer(200, orjson.dumps(lookups.answer(path, self.exchange, asker, caller.params)))
        except Refusal as refusal:
            return refused(refusal)

    def test_order(self, caller: Caller) -> Answer:
        """Check a new order without placing it."""
        try:
            request, _ = self.form.placement(caller.params, self._make_id())
            self.exchange.check(caller.account, request)
        except Refusal as refusal:
            return refused(refusal)
        return Answer(200, b"{}")

    def quote(self) -> None:
        """Let the house renew its quotes on every symbol and report what clients traded with it."""
        for house in self._houses:
            self.hub.publish(house.quote(self.exchange, self.liquidity, self.now_ms(), self.dice.lag_ms()))

    def set_liquidity(self, liquidity: Liquidity) -> None:
        """Replace how the house quotes; its old quotes leave every book now."""
        self.liquidity = liquidity
        for symbol in self.exchange.markets:
            self.exchange.clear_house(symbol)

    def _act(self, caller: Caller, deed: Deed) -> Answer:
        now_ms = self.now_ms()
        try:
            caller.window.check_again(now_ms)
            match deed:
                case "place":
                    return self._place(caller, now_ms)
                case "cancel":
                    return self._cancel(caller, now_ms)
                case "amend":
                    return self._amend(caller, now_ms)
                case "place many":
                    return self._many(caller, batches.places(caller.params), self._place, now_ms)
                case "cancel many":
                    return self._many(caller, batches.cancels(caller.params), self._cancel, now_ms)
                case _:
                    assert_never(deed)
        except Refusal as refusal:
            return refused(self.form.refused(refusal))

    def _place(self, caller: Caller, now_ms: int) -> Answer:
        request, response_type = self.form.placement(caller.params, self._make_id())
        headers = self.meter.headers(*self.meter.count_order(caller.account, now_ms))
        lag_ms = self.dice.lag_ms()
        outcome = self.exchange.place(caller.account, request, now_ms, lag_ms)
        self.dice.lagged(lag_ms)
        return self._done(outcome, self.form.placed(outcome, response_type), headers)

    def _cancel(self, caller: Caller, now_ms: int) -> Answer:
        request = requests.cancellation(caller.params, self._make_id())
        outcome = self.exchange.cancel(caller.account, request, now_ms)
        return self._done(outcome, self.form.cancelled(outcome), {})

    def _amend(self, caller: Caller, now_ms: int) -> Answer:
        self.meter.count_order(caller.account, now_ms)
        lag_ms = self.dice.lag_ms()
        done = self.form.amend(self.exchange, caller.account, caller.params, self._make_id(), now_ms, lag_ms)
        self.dice.lagged(lag_ms)
        self.hub.publish(done.reports)
        return Answer(done.status, orjson.dumps(done.body))

    def _many(
        self, caller: Caller, legs: Sequence[Params], act: Callable[[Caller, int], Answer], now_ms: int
    ) -> Answer:
        """Act on each leg by itself; what is refused of one stands in its place."""
        told: list[bytes] = []
        for leg in legs:
            try:
                told.append(act(msgspec.structs.replace(caller, params=leg), now_ms).body)
            except Refusal as refusal:
                told.append(orjson.dumps(batches.refused(self.form.refused(refusal))))
        return Answer(200, b"[" + b",".join(told) + b"]")

    def _done(self, outcome: Outcome, payload: payloads.Payload, headers: Mapping[str, str]) -> Answer:
        self.hub.publish(outcome.reports)
        return Answer(200, orjson.dumps(payload), headers=headers)

    def _make_id(self) -> str:
        """A client order id for a request that came without one: 22 characters, as Binance makes them."""
        self._made_ids += 1
        return blake2b(f"{self._seed}:{self._made_ids}".encode(), digest_size=11).hexdigest()


def refused(refusal: Refusal) -> Answer:
    """A refusal as Binance prints it."""
    body = orjson.dumps({"code": refusal.code, "msg": refusal.msg})
    headers = {} if refusal.retry_after_s is None else {"retry-after": str(refusal.retry_after_s)}
    return Answer(refusal.status, body, headers=headers)
