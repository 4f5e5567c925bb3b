"""Instructions of the server, counted by callgrind: a figure that a busy machine does not change.

A server that is to be counted starts from a copy of another one's append-only file, because making orders under
valgrind takes fifty times as long as reading them. Where valgrind is not installed there are no such rows.
"""

import asyncio
import re
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from streams.server import EmbeddedServer
from streams.server_binary import find_binary
from streams.server_config import Fsync

APPENDED: Final = "appendonlydir"
LOAD_S: Final = 900.0
LOOK_S: Final = 0.05
# The answer to --version comes from the program itself; valgrind would be too slow for who asks.
WRAPPER: Final = """#!/bin/sh
case "$1" in --version) exec "{program}" "$@" ;; esac
exec valgrind --quiet --tool=callgrind --instr-atstart=no --callgrind-out-file="{counts}" "{program}" "$@"
"""


def are_countable() -> bool:
    """Say whether callgrind is installed."""
    return all(shutil.which(name) for name in ("valgrind", "callgrind_control"))


class Counter:
    """Counts what one server executes between `begin` and `end`."""

    def __init__(self, pid: int, counts: Path) -> None:
        """Of a process that callgrind runs and that writes `counts`."""
        self._pid, self._counts, self._number = str(pid), counts, 0

    async def begin(self) -> None:
        """Count from here on."""
        await _control("--instr=on", self._pid)

    async def end(self) -> int:
        """Count no more; how many instructions it were."""
        await _control("--instr=off", self._pid)
        await _control("--dump", self._pid)
        self._number += 1
        dump = self._counts.with_name(f"{self._counts.name}.{self._number}")
        [total] = re.findall(r"^totals: (\d+)", dump.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
        return int(total)


@asynccontextmanager
async def counted(server: EmbeddedServer, redis: Redis, fsync: Fsync) -> AsyncIterator[tuple[EmbeddedServer, Counter]]:
    """Run a copy of a server as it stands now under callgrind, and remove it afterwards."""
    await redis.bgrewriteaof()
    while True:
        told: Any = await redis.info("persistence")
        if not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]:
            break
        await asyncio.sleep(LOOK_S)
    with tempfile.TemporaryDirectory(prefix="fillonce-bench-") as folder:
        place, program = Path(folder), Path(folder) / "server"
        counts = place / "counts"
        await asyncio.to_thread(shutil.copytree, server.data_dir / APPENDED, place / APPENDED)
        program.write_text(WRAPPER.format(program=find_binary(), counts=counts), encoding="utf-8")
        program.chmod(stat.S_IRWXU)
        extra = {"auto-aof-rewrite-percentage": "0"}
        async with EmbeddedServer(place, fsync=fsync, binary=program, extra=extra, start_deadline_s=LOAD_S) as copy:
            yield copy, Counter(await _pid(copy), counts)


async def _pid(server: EmbeddedServer) -> int:
    async with Redis(unix_socket_path=str(server.socket_path)) as redis:
        told: Any = await redis.info("server")
        return int(told["process_id"])


async def _control(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "callgrind_control", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"callgrind_control {' '.join(words)}: {said.decode(errors='replace').strip()}")
