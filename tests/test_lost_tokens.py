"""The token of a claim that a failover lost: it may come again, and claims, settles and closes nothing by that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.binance.decode import decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from streams import codec
from streams.connection import connect
from streams.errors import HistoryChanged
from streams.keys import GATEWAYS
from streams.plans import Busy, Claimed
from streams.schemas import Command, Evidence, Refused
from tests.failover import Pair, replicated
from tests.flow import LEASE_MS, LOOK_MS, WINDOW_MS, Bench, place

pytestmark = pytest.mark.slow
ACCOUNT = "sim.tokens"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """A primary and its replica under one address."""
    async with replicated(tmp_path) as made:
        yield made


async def test_a_token_whose_claim_was_lost_neither_claims_nor_settles_nor_closes_the_one_after_it(pair: Pair) -> None:
    """Its gateway slept through the failover, and says what it said before: the claim of another one stands."""
    sleeper, awake = (Bench(connect(pair.address.url, name=name), ACCOUNT) for name in ("sleeper", "awake"))
    try:
        await sleeper.open()
        terms = place(ACCOUNT)
        await sleeper.publish(terms)
        [entry] = await sleeper.read_intents()
        await pair.cut()
        item = sleeper.claim_item(entry.id, terms)
        name, token = item.client_order_id, item.token
        [lost] = await sleeper.scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)
        assert isinstance(lost, Claimed)
        await pair.promote()
        await sleeper.redis.connection_pool.disconnect()
        await awake.open()
        with pytest.raises(HistoryChanged):
            await sleeper.scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)
        assert (await awake.order(name)).status == "created"
        said = Evidence(
            source="answer", format="", received_at_ns=1,
            command=Command(client_order_id=name, token=token, outcome=Refused("-2010", "no funds")),
        )  # fmt: skip
        assert not await sleeper.scripts.settle(
            client_order_id=name, entry=entry.id, token=token, command="place", evidence=codec.encode(said), raw=b""
        )
        assert await awake.pending(awake.keys.intents, GATEWAYS) == 1
        second = await awake.claim(entry, terms)
        assert isinstance(second, Claimed)
        await _fold(awake)
        assert await sleeper.scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS) == [Busy()]
        order = await awake.order(name)
        assert (order.status, order.token) == ("submitting", second.order.token)
    finally:
        await sleeper.redis.aclose()
        await awake.redis.aclose()


async def _fold(bench: Bench) -> None:
    rules = Rules(resubmission_allowed=True, calm_ms=30_000)
    await Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode,
        settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=rules), clock=bench.clock,
    ).run(burst=True)  # fmt: skip
