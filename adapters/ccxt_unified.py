"""ccxt's unified calls, for exchanges of which nothing else is known: a command is looked at, and written once.

A unified call decides for itself what it sends, and may ask for other things before. So each of its requests is shown
to the caller as it is about to be written, who says whether it is the command and may go.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from adapters.ccxt_rest import CALL, OWN, Call, CcxtRest, Objection, always, name_of, settle_down
from adapters.classify import Failure, Response
from streams.errors import UsageError


class Written(Struct, frozen=True):
    """A request as it is about to be written.

    Attributes:
        line: method and address.
        headers: name and value, a line each.
        body: empty when there is none.
    """

    line: str
    headers: str
    body: str

    @property
    def text(self) -> str:
        """Everything that leaves."""
        return f"{self.line}\n{self.headers}\n{self.body}"


class Performed(Struct, frozen=True):
    """What became of a unified call of ccxt.

    Attributes:
        value: what ccxt made of it; None where it raised.
        response: the last answer that came, as it came.
        failure: why ccxt gave no value, and whether a byte of the command itself may have left; None where it gave one.
        errors: names of the classes of what ccxt raised.
        told: the sentence ccxt raised where it had not begun any request; it knows nothing of keys then.
        sent: whether a byte of the command itself may have left.
    """

    value: Any
    response: Response | None
    failure: Failure | None
    errors: frozenset[str] = frozenset()
    told: str = ""
    sent: bool = False


class CcxtUnified(CcxtRest):
    """One exchange object of ccxt that is called by its unified methods. Use `open`; every instance must be closed."""

    keeps_pace = True

    @property
    def exchange(self) -> Any:
        """The exchange object, for what it says of itself."""
        return self._exchange

    def use_testnet(self) -> None:
        """Take the addresses of the exchange's testnet.

        Raises:
            UsageError: ccxt knows none.
        """
        if not self._exchange.urls.get("test"):
            raise UsageError(f"ccxt knows no testnet of {self._exchange.id}; set environment to live.")
        self._exchange.set_sandbox_mode(True)  # exchanges name the parameter differently

    async def perform(
        self,
        deed: Callable[[Any], Awaitable[Any]],
        check: Callable[[], str] = always,
        judge: Callable[[Written], str | None] | None = None,
    ) -> Performed:
        """Have ccxt do something, which may take several requests; the command itself is written once.

        Args:
            deed: calls a unified method of the exchange object it is given.
            check: asked as the last thing before each write; a non-empty answer is why nothing is sent.
            judge: looks at each request: None where it is not the command itself, else why it must not be sent, or "".
                Without it every request is the command.
        """
        call = Call(check, judge)
        token = CALL.set(call)
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                value = await deed(self._exchange)
                return Performed(value, call.response, None, sent=call.sent)
        except Objection as objection:
            return _failed(call, str(objection))
        except TimeoutError:
            return _failed(call, f"no answer within {self._timeout_ms} ms")
        except Exception as error:  # noqa: BLE001 - after the first byte any failure whatever is an unknown outcome
            names = frozenset(one.__name__ for one in type(error).__mro__)
            told = "" if call.begun else str(error)
            return _failed(call, name_of(error), names, told)
        finally:
            CALL.reset(token)

    @staticmethod
    def take_over(exchange: Any) -> None:
        """Leave reading to ccxt, but for fractions, which stay the text they were; show each request to its judge."""
        settle_down(exchange)
        exchange.on_json_response = _read_json
        fetch = exchange.fetch

        async def look_first(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            call = CALL.get()
            if call is None:
                return await fetch(url, method, headers, body)
            call.begun, objection = True, ""
            if call.judge is not None:
                said = "\n".join(f"{name}: {value}" for name, value in (headers or {}).items())
                judged = call.judge(
                    Written(f"{method} {url}", said, body if isinstance(body, str) else repr(body or ""))
                )
                token = OWN.set(judged is not None)
                objection = judged or ""
            else:
                token = OWN.set(True)
            try:
                if objection:
                    raise Objection(objection)
                return await fetch(url, method, headers, body)
            finally:
                OWN.reset(token)

        exchange.fetch = look_first


def _failed(call: Call, reason: str, names: frozenset[str] = frozenset(), told: str = "") -> Performed:
    return Performed(None, call.response, Failure(call.sent, reason), names, told, call.sent)


def _read_json(body: str) -> Any:
    return json.loads(body, parse_float=str)
