"""What everybody is told of an account: the rule of its ids, and what can be traded there.

It is no state and has no journal, so a server that lost its last writes may have lost it. Then it is put back from
memory before anybody looks at the gate: without it no intent is taken and no listed order can be read.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from adapters.venue import Venue
from streams import store
from streams.errors import UsageError
from streams.instrument import Instrument, tabulate
from streams.schemas import AccountInfo, Takes


class Registration:
    """The registration of one account; the one place that loads instruments from the venue."""

    def __init__(self, redis: Redis, account: str, venue_name: str, venue: Venue, symbols: Sequence[str]) -> None:
        """Bind it; `load` comes first."""
        self._redis, self._account, self._venue_name = redis, account, venue_name
        self._venue, self._symbols = venue, frozenset(symbols)
        self._found: Sequence[Instrument] = ()

    async def load(self) -> None:
        """Ask the venue what can be traded, and tell everybody.

        Raises:
            UsageError: the venue does not trade a symbol of the settings.
        """
        found = [one for one in await self._venue.instruments() if one.symbol in self._symbols]
        if strange := sorted(self._symbols - {one.symbol for one in found}):
            raise UsageError(
                f"{self._venue_name} does not trade {', '.join(strange)}; correct symbols in the settings."
            )
        self._found = found
        await self._tell()

    async def keep(self) -> None:
        """Tell it again where it is lost; one that somebody else wrote stays."""
        if not await store.registered(self._redis, self._account):
            await self._tell()

    async def _tell(self) -> None:
        facts = self._venue.facts
        takes = Takes(
            types=frozenset(facts.types), times_in_force=frozenset(facts.times_in_force),
            flags=frozenset(facts.flags), position_sides=frozenset(facts.position_sides),
        )  # fmt: skip
        info = AccountInfo(venue=self._venue_name, id_rule=facts.id_rule, takes=takes)
        await store.register(self._redis, self._account, info, self._found, tabulate(self._found).version)
