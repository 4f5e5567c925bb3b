"""The webhook in the demo: what is sent, and that every signal becomes one order though its receiver is killed."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from consumers.demo.plan import Script
from consumers.demo.webhook import AGAIN_EVERY, SIGNALS, Webhook, signals
from streams.tasks import end
from tests.support import wait_until_async

SCRIPT = Script(
    name="taker", account="binance.main", seed=1, signals=10, prices={"BTC/USDT": Decimal("60000.50")}, pause_ms=20,
    started_at=datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1),
)  # fmt: skip


def test_some_signals_are_sent_twice_and_the_same_script_sends_the_same() -> None:
    """One of three; by id they are as many as there are."""
    sent = Counter(one["id"] for one in signals(SCRIPT))
    assert len(sent) == SIGNALS
    assert sum(count == 2 for count in sent.values()) == SIGNALS // AGAIN_EVERY
    assert signals(SCRIPT) == signals(SCRIPT)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_each_signal_becomes_one_order_though_the_receiver_is_killed_in_the_middle(fillonce: Any) -> None:
    """The sender sends until it is answered, and an answer that comes twice names the same order."""
    fillonce.house("SELL", 5, price=60_000)
    fillonce.house("BUY", 5, price=59_000)
    made = signals(SCRIPT)

    async def send() -> Webhook:
        webhook = Webhook(fillonce.url, fillonce.account)
        await webhook.start()
        sending = asyncio.create_task(webhook.send(made, pause_ms=20))
        try:
            await wait_until_async(lambda: len(webhook.answers) >= SIGNALS // 3, 60)
            await webhook.kill()
            await webhook.start()
            await asyncio.wait_for(sending, 60)
        finally:
            await end([sending])
            await webhook.kill()
        return webhook

    answers = asyncio.run(send()).answers
    assert {len(told) for told in answers.values()} == {1, 2}
    assert all(told[1][0] == 200 for told in answers.values() if len(told) == 2)
    fillonce.settled()
    assert len(fillonce.orders("webhook")) == len(fillonce.venue_orders()) == SIGNALS
