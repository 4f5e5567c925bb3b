"""Cancelling everything of a scope, for `halt --cancel-open` and `cancel-all`."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from consumers.commands import output
from consumers.commands.connecting import address, person
from streams.errors import UsageError
from streams.settings import Settings

if TYPE_CHECKING:
    from consumers.clearing import Clearing, Left, Orphans
    from consumers.roles import Workshop

DEADLINE_S: Final = 60.0


async def clear(
    settings: Settings, account: str, scope: str, deadline_s: float, told: dict[str, Any], *, foreign: bool
) -> None:
    """Cancel one account's orders of a scope.

    Args:
        settings: that may name the account.
        account: which.
        scope: as switches have it.
        deadline_s: longest time.
        told: what became of it is written into it round by round, so that it can be told after Ctrl-C.
        foreign: whether orders of other systems and of people are cancelled too.
    """
    from consumers.clearing import Clearing
    from streams.clock import SystemClock
    from streams.connection import connect

    settings = msgspec.structs.replace(settings, redis_url=address(settings))
    redis = connect(
        settings.redis_url, name=f"fillonce-cli-{os.getpid()}", timeout_ms=settings.redis_timeout_ms, single=False
    )
    finder = Finder(settings, account, scope, told, foreign=foreign)
    clearing = Clearing(redis, account, scope, SystemClock(), who=person(), orphans=finder.find)

    def show(left: "Left") -> None:
        told.update(_counts(clearing))
        output.say(f"{account}: {left.sentence}")

    told.update(_counts(clearing), done=False)
    try:
        told["done"] = await clearing.run(int(deadline_s * 1000), show)
    finally:
        told.update(_counts(clearing))
        await finder.close()
        await redis.aclose()


def _counts(clearing: "Clearing") -> dict[str, Any]:
    left = clearing.left
    return {
        "cancelled": len(set(clearing.asked) - set(left.orders)), "orphans_cancelled": list(clearing.orphans),
        "left": list(left.orders), "by_status": dict(left.by_status), "orphans_left": list(left.orphans),
        "unclear": list(left.unclear),
        "trouble": left.trouble,
    }  # fmt: skip


class Finder:
    """Finds orders at the venue that have no record, and cancels those that belong to the scope."""

    def __init__(
        self, settings: Settings, account: str, scope: str, told: dict[str, Any], *, foreign: bool
    ) -> None:  # fmt: skip
        """Bind it; the venue is connected to when it is needed, because cancels of what is known come first."""
        self._settings, self._account, self._scope, self._told = settings, account, scope, told
        self._foreign = foreign
        self._shop: Workshop | None = None
        self._find: Callable[[], Awaitable[Orphans]] | None = None

    async def find(self) -> "Orphans":
        """Look once.

        Raises:
            CouldNotAsk, StoreUnreachable: it has to be repeated.
        """
        from consumers.clearing import Orphans

        try:
            find = self._find or await self._open()
        except UsageError as error:
            # The keys of the venue need not be here for a switch to work.
            self._told["orphans_not_asked"] = str(error)
            output.say(f"{self._account}: orders without a record are not looked for: {error}")
            return Orphans()
        return await find()

    async def close(self) -> None:
        """Give the connections back."""
        if self._shop is not None:
            await self._shop.close()

    async def _open(self) -> "Callable[[], Awaitable[Orphans]]":
        from consumers.orphans import finder, policies
        from consumers.patrolling import patrol
        from consumers.roles import Task, Workshop

        told = policies(self._settings.account(self._account).reconcile, self._scope, foreign=self._foreign)
        self._shop = Workshop(Task(role="resolver", account=self._account), self._settings, os.environ)
        redis = self._shop.redis("cancel-all", single=False)
        await self._shop.server_clock.measure(redis)
        made = patrol(self._shop, redis, await self._shop.venue(), person(), told)
        self._find = finder(made, self._scope, "command")
        return self._find
