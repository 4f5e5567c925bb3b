"""One pipeline per directory, and no server without its pipeline."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from streams.errors import ServerError
from streams.server import EmbeddedServer
from streams.server_lock import HANDOVER_S
from tests.support import parent_of, process_ended, wait_until

pytestmark = pytest.mark.slow


PIPELINE = """
import signal, sys
from pathlib import Path
from redis import Redis
from streams.server import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]))
server.start_sync()
redis = Redis.from_url(server.url)
print(server.pid, flush=True)
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
for line in sys.stdin:
    if line.strip() == "write":
        print(redis.incr("written"), flush=True)
    elif line.strip() == "stop":
        server.stop_sync()
        print("stopped", flush=True)
"""
"""A pipeline of its own process, told what to do line by line."""


class Pipeline:
    """A real parent process that owns an embedded server."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PIPELINE, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.server_pid = int(self.line())
        self.child_pid = parent_of(self.server_pid)

    def line(self) -> str:
        """Next line it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def tell(self, line: str) -> str:
        """Have it do something and give its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.line()

    def all_ended(self) -> bool:
        """Whether the server and the process before it are gone."""
        return process_ended(self.server_pid) and process_ended(self.child_pid)

    def close(self) -> None:
        """Kill it and wait until nothing of it is left."""
        self.process.kill()
        self.process.communicate()
        wait_until(self.all_ended)


@contextlib.contextmanager
def a_pipeline(data_dir: Path) -> Iterator[Pipeline]:
    """A pipeline that is gone after the block."""
    pipeline = Pipeline(data_dir)
    try:
        yield pipeline
    finally:
        pipeline.close()


async def test_a_second_pipeline_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """Two servers never share a directory, whatever spelling names it."""
    (tmp_path / "link").symlink_to(tmp_path / "data")
    async with EmbeddedServer(tmp_path / "data") as server, Redis.from_url(server.url) as redis:
        with pytest.raises(ServerError) as refused:
            await EmbeddedServer(tmp_path / "link").start()
        assert str(refused.value) == (
            f"Another pipeline (pid {os.getpid()}) already runs on {server.data_dir}; "
            "stop it or choose another data directory."
        )
        assert await redis.ping()


def test_a_second_pipeline_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    """The refusal comes at once and names the pipeline; once that one stopped its server, the directory is free."""
    with a_pipeline(tmp_path) as pipeline:
        asked_at = time.monotonic()
        with pytest.raises(ServerError, match=rf"^Another pipeline \(pid {pipeline.process.pid}\) already runs on "):
            EmbeddedServer(tmp_path).start_sync()
        assert time.monotonic() - asked_at < HANDOVER_S / 2
        assert pipeline.tell("stop") == "stopped\n"
        with EmbeddedServer(tmp_path) as server:
            assert server.alive()


def test_nothing_is_left_after_kill_9_of_the_pipeline(tmp_path: Path) -> None:
    """The server stops by itself within seconds, and the next pipeline finds the data."""
    with a_pipeline(tmp_path) as pipeline:
        assert pipeline.tell("write") == "1\n"
        pipeline.process.kill()
        pipeline.process.wait()
        wait_until(pipeline.all_ended, timeout_s=2)
        assert b"ready to exit" in (tmp_path / "valkey.log").read_bytes()
        with EmbeddedServer(tmp_path) as server, SyncRedis.from_url(server.url) as redis:
            assert redis.get("written") == b"1"


def test_a_pipeline_started_right_after_kill_9_waits_for_the_old_server(tmp_path: Path) -> None:
    """A service manager may restart at once: the start takes over instead of refusing."""
    with a_pipeline(tmp_path) as pipeline:
        assert pipeline.tell("write") == "1\n"
        pipeline.process.kill()
        pipeline.process.wait()
        with EmbeddedServer(tmp_path) as server, SyncRedis.from_url(server.url) as redis:
            assert redis.get("written") == b"1"
            assert server.pid != pipeline.server_pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_the_server_stops_when_the_process_before_it_is_killed(tmp_path: Path) -> None:
    """The pipeline sees the server as dead, the server flushes and ends, a new start works."""
    with EmbeddedServer(tmp_path) as server, SyncRedis.from_url(server.url) as redis:
        redis.set("key", "value")
        first_pid = server.pid
        os.kill(parent_of(first_pid), signal.SIGKILL)
        wait_until(lambda: not server.alive())
        server.start_sync()
        wait_until(lambda: process_ended(first_pid))
        assert redis.get("key") == b"value"


def test_ctrl_c_reaches_the_pipeline_and_not_the_server(tmp_path: Path) -> None:
    """SIGINT to the whole process group leaves a server to drain into."""
    with a_pipeline(tmp_path) as pipeline:
        os.killpg(pipeline.process.pid, signal.SIGINT)
        assert pipeline.line() == "interrupted\n"
        assert pipeline.tell("write") == "1\n"
        assert pipeline.tell("stop") == "stopped\n"
        assert pipeline.all_ended()
        assert b"SIGINT" not in (tmp_path / "valkey.log").read_bytes()
