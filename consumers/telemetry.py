"""Spans to where OpenTelemetry's own variables say; nothing is loaded and nothing runs where they say nothing."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from consumers.spans import Span, Spans
from streams import events
from streams.clock import Clock
from streams.keys import AccountKeys
from streams.wire import stream_rows

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
READ, BLOCK_MS, RETRY_MS = 500, 500, 200

log = logging.getLogger("fillonce.telemetry")


def wanted(env: Mapping[str, str]) -> bool:
    """Whether anybody asked for spans: an OTLP endpoint, or an exporter by name."""
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get(EXPORTER) == "none":
        return False
    return any(env.get(name) for name in (*ENDPOINTS, EXPORTER))


def exporter(env: Mapping[str, str]) -> "SpanExporter | None":
    """Make what was asked for; None, and one sentence, where its package is not installed."""
    try:
        if env.get(EXPORTER) == "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            return ConsoleSpanExporter()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        log.error(  # noqa: TRY400 - one sentence for a person
            "spans are asked for, but %s is not installed: install the extra, fillonce[otel]; trading goes on without",
            error.name,
        )
        return None
    made: SpanExporter = OTLPSpanExporter()
    return made


class Telemetry:
    """Follows one account's journal from its present end, and exports the spans of what it says.

    It holds no group, so it never keeps the journal from being trimmed; what passes while it is away is not told.

    Attributes:
        told: spans since the start.
    """

    def __init__(self, redis: Redis, keys: AccountKeys, clock: Clock, to: "SpanExporter") -> None:
        """Bind it; `redis` is a connection of its own that may block."""
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._redis, self._keys, self._clock = redis, keys, clock
        self._spans, self._processor = Spans(keys.account), BatchSpanProcessor(to)
        self._ended, self._last, self.told = _readable(keys.account), b"", 0

    async def run(self) -> None:
        """Export until cancelled; what is still queued then goes out first."""
        try:
            while True:
                try:
                    self._last = self._last or await self._tip()
                    reply: Any = await self._redis.xread({self._keys.events: self._last}, count=READ, block=BLOCK_MS)
                except (RedisError, OSError):
                    await self._clock.sleep_ms(RETRY_MS)
                    continue
                for rows in stream_rows(reply):
                    for entry, fields in rows:
                        self._last = entry
                        self._tell(fields.get(b"data", b""))
        finally:
            self._processor.shutdown()  # type: ignore[no-untyped-call]

    def following(self) -> bool:
        """Whether what is written from now on will be told."""
        return bool(self._last)

    async def _tip(self) -> bytes:
        newest: Any = await self._redis.xrevrange(self._keys.events, count=1)
        return bytes(newest[0][0]) if newest else b"0-0"

    def _tell(self, data: bytes) -> None:
        try:
            entry = events.decode(data)
        except msgspec.MsgspecError:
            return
        for span in self._spans.of(entry):
            self._processor.on_end(self._ended(span))
            self.told += 1


def _readable(account: str) -> Callable[[Span], Any]:
    """How a span of ours is written as one of the SDK's."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    resource = Resource.create({"service.name": "fillonce", "fillonce.account": account})

    def context(span: Span, span_id: int) -> SpanContext:
        return SpanContext(span.trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def written(span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=f"fillonce.{span.name}", context=context(span, span.span_id),
            parent=context(span, span.parent_id) if span.parent_id else None, resource=resource,
            attributes=dict(span.attributes), start_time=span.start_ms * 1_000_000, end_time=span.end_ms * 1_000_000,
            status=Status(StatusCode.ERROR, span.failed) if span.failed else Status(StatusCode.UNSET),
        )  # fmt: skip

    return written
