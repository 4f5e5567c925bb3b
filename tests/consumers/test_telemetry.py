"""Spans as an exporter gets them from a pipeline that trades, and the one sentence when its package is missing."""

import asyncio
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from consumers.telemetry import Telemetry, wanted
from streams.connection import connect
from streams.tasks import end
from tests.commands import environment
from tests.pipeline import Pipeline


async def test_an_order_that_fills_is_a_whole_trace_at_the_exporter(pipeline: Pipeline) -> None:
    """From publish to fill; what was before it began is left out, and a stop sends what is queued."""
    await pipeline.all_roles(gateways=1)
    [before] = await pipeline.place(pipeline.terms())
    await pipeline.status(before, "open")
    exporter, redis = InMemorySpanExporter(), connect(pipeline.url, name="spans")
    telemetry = Telemetry(redis, pipeline.keys, pipeline.clock, exporter)
    task = asyncio.create_task(telemetry.run())
    await pipeline.until(telemetry.following)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    await pipeline.house("SELL", 2)
    await pipeline.status(name, "filled")
    await pipeline.until(lambda: telemetry.told >= 5)
    await end([task])
    await redis.aclose()
    found = exporter.get_finished_spans()
    assert {one.name for one in found} == {f"fillonce.{one}" for one in ("publish", "claim", "venue", "fill", "order")}
    assert {(one.attributes or {})["fillonce.client_order_id"] for one in found} == {name}
    [root] = [one for one in found if one.parent is None]
    assert root.context is not None
    assert {one.parent.span_id for one in found if one.parent} == {root.context.span_id}
    assert {one.context.trace_id for one in found if one.context} == {root.context.trace_id}


@pytest.mark.parametrize(
    ("env", "is_wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}, False),
    ],
    ids=str,
)
def test_nobody_is_told_unless_somebody_asked(env: dict[str, str], is_wanted: bool) -> None:
    """By OpenTelemetry's own variables."""
    assert wanted(env) is is_wanted


def test_a_package_that_is_missing_is_said_in_one_sentence() -> None:
    """And nothing else happens."""
    code = (
        "import logging, sys; logging.basicConfig(format='%(message)s'); sys.modules['opentelemetry.exporter'] = None\n"
        "from consumers.telemetry import exporter; assert exporter({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://x'}) is None"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment({}), capture_output=True, text=True, check=True
    ).stderr
    assert len(said.splitlines()) == 1
    assert "install the extra, fillonce[otel]" in said
