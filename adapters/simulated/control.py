"""A client of a simulated venue's control surface, for audits and tests."""

from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import msgspec

from adapters.simulated.faults import Faults
from adapters.simulated.liquidity import Liquidity

_TIMEOUT_S = 30.0


class Control:
    """Talks to `/sim` of the venue at `base_url`. Use it as an async context manager, or close it.

    Every answer is plain JSON with amounts as strings. A refusal of the venue raises `aiohttp.ClientResponseError`.
    """

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Control({self._base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the venue."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def books(self, account: str | None = None) -> dict[str, Any]:
        """Per account under `accounts`: initial balances, balances, every order ever accepted and every trade."""
        query = {} if account is None else {"account": account}
        return await self._ask("GET", "books", query=query)

    async def faults(self) -> dict[str, Any]:
        """The rates in force under `faults`, and how often each kind happened under `counts`."""
        return await self._ask("GET", "faults")

    async def set_faults(self, faults: Faults) -> None:
        """Replace all rates; the tally goes on."""
        await self._ask("POST", "faults", msgspec.to_builtins(faults))

    async def cut_streams(
        self, account: str | None = None, how: Literal["abort", "terminate"] = "abort", *, down_ms: int = 0
    ) -> int:
        """End user data streams now, and let none begin for a while.

        Returns:
            How many connections (abort) or subscriptions (terminate) ended.
        """
        return int((await self._ask("POST", "cut", {"account": account, "how": how, "down_ms": down_ms}))["cut"])

    async def set_clock(self, offset_ms: int) -> None:
        """Set the venue's clock apart from the machine's, in milliseconds."""
        await self._ask("POST", "clock", {"offset_ms": offset_ms})

    async def set_liquidity(self, liquidity: Liquidity) -> None:
        """Replace how the house quotes; off also takes its quotes off every book."""
        await self._ask("POST", "liquidity", msgspec.to_builtins(liquidity))

    async def house_order(
        self,
        symbol: str,
        side: Literal["BUY", "SELL"],
        quantity: Decimal,
        *,
        price: Decimal | None = None,
        time_in_force: Literal["GTC", "IOC", "FOK"] = "GTC",
    ) -> int:
        """Let the house place one order; returns how many execution reports clients get from it."""
        order = {
            "symbol": symbol,
            "side": side,
            "quantity": str(quantity),
            "price": None if price is None else str(price),
            "time_in_force": time_in_force,
        }
        return int((await self._ask("POST", "house", order))["reports"])

    async def transfer(self, account: str, asset: str, delta: Decimal, *, told: bool = True) -> None:
        """Deposit (or withdraw, negative); `told` says whether the account's private stream hears of it."""
        await self._ask("POST", "transfer", {"account": account, "asset": asset, "delta": str(delta), "told": told})

    async def funding(self, account: str, asset: str, delta: Decimal) -> None:
        """Let an account pay funding (negative) or be paid; its private stream hears of it."""
        await self._ask("POST", "funding", {"account": account, "asset": asset, "delta": str(delta)})

    async def liquidate(
        self, account: str, symbol: str, price: Decimal, *, position_side: str = "BOTH", told: bool = True
    ) -> None:
        """Let the venue close a position; `told` says whether the account's private stream hears of it."""
        order = {"account": account, "symbol": symbol, "price": str(price), "position_side": position_side}
        await self._ask("POST", "liquidation", {**order, "told": told})

    async def bust(self, account: str, symbol: str, trade_id: int) -> None:
        """Let the venue take a trade back; nothing tells of it but its lists and its balances."""
        await self._ask("POST", "bust", {"account": account, "symbol": symbol, "trade_id": trade_id})

    async def hide(self, account: str, symbol: str, trade_id: int, hide_ms: int) -> None:
        """Let the venue's lists show a trade only after a while; its order counts it."""
        told = {"account": account, "symbol": symbol, "trade_id": trade_id, "hide_ms": hide_ms}
        await self._ask("POST", "bust", told)

    async def _ask(
        self, method: str, path: str, document: object = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                headers={"Authorization": f"Bearer {self._token}"},
                raise_for_status=True,
            )
        url = f"{self._base_url}/sim/{path}"
        async with self._session.request(method, url, json=document, params=query) as response:
            answer: dict[str, Any] = await response.json()
            return answer
