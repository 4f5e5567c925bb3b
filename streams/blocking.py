"""The producer without `await`, for scripts and notebooks: the same calls, on a loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, Self, TypeVar

from streams.connection import connect
from streams.producer import Answer, IntentProducer, Receipt
from streams.schemas import Amend, Cancel, Intent, Order, Place
from streams.tasks import end
from streams.watch import Until

T = TypeVar("T")


class BlockingIntentProducer:
    """As `IntentProducer`; use it with `with`, or close it."""

    def __init__(self, url: str, *, timeout_ms: int = 2_000) -> None:
        """Start the thread; nothing is sent yet.

        Args:
            url: `unix://`, `redis://` or `rediss://`.
            timeout_ms: after it a call gives up with one sentence.
        """
        self._redis = connect(url, name="fillonce-producer", single=False)
        self._producer = IntentProducer(self._redis, timeout_ms=timeout_ms)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fillonce-producer", daemon=True)
        self._thread.start()

    def place(self, intent: Place) -> Receipt:
        """Publish one place; raises as `IntentProducer.place`."""
        return self._do(self._producer.place(intent))

    def cancel(self, intent: Cancel) -> Receipt:
        """Publish one cancel; raises as `IntentProducer.cancel`."""
        return self._do(self._producer.cancel(intent))

    def amend(self, intent: Amend) -> Receipt:
        """Publish one amend; raises as `IntentProducer.amend`."""
        return self._do(self._producer.amend(intent))

    def publish(self, intents: Sequence[Intent]) -> list[Answer]:
        """Publish intents of one account; raises as `IntentProducer.publish`."""
        return self._do(self._producer.publish(intents))

    def wait(self, receipt: Receipt, *, until: Until = "ended", timeout: float | None = None) -> Order:
        """Wait for what a receipt speaks of; raises as `Receipt.wait`."""
        return self._do(receipt.wait(until=until, timeout=timeout))

    def close(self) -> None:
        """Give thread and connections back."""
        if self._loop.is_closed():
            return
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, step: Coroutine[Any, Any, T]) -> T:
        done = asyncio.run_coroutine_threadsafe(step, self._loop)
        try:
            return done.result()
        except KeyboardInterrupt:
            done.cancel()
            raise

    async def _close(self) -> None:
        await end(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
        await self._redis.aclose()
