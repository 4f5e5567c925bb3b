"""Roles as processes of their own, so that a test can stop and continue them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from consumers.supervise import Child
from tests.races.worker import Told

ROOT = Path(__file__).parents[2]


async def started(told: Told) -> asyncio.subprocess.Process:
    """Start a worker and wait until it has everything it needs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.races.worker", cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(told) + b"\n")
    assert await process.stdout.readline() == b"ready\n"
    return process


@asynccontextmanager
async def process(told: Told) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker beside the test."""
    worker = await started(told)
    try:
        yield worker
    finally:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


def stands_still(process: asyncio.subprocess.Process | Child) -> bool:
    """Whether it was stopped by a signal."""
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(process.pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip().startswith("T")
