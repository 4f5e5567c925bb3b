"""Waiting until a started server answers with all its data."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.errors import ServerError

LOADING_REPORT_S: Final = 1.0
"""Pause between two reports of the progress of a load."""

READY_POLL_S: Final = 0.01

_INFO_TIMEOUT_S: Final = 1.0

_log = logging.getLogger(__name__)


def await_ready(
    socket_path: Path,
    pid: int,
    *,
    alive: Callable[[], bool],
    cancelled: threading.Event,
    deadline_s: float,
    on_loading: Callable[[float], None],
) -> str | None:
    """Wait for the process ``pid`` to answer on the socket with its data loaded.

    Returns:
        The server's run id, or None when it ended first.

    Raises:
        ServerError: the deadline passed or the wait was cancelled.
    """
    deadline = time.monotonic() + deadline_s
    report_at = time.monotonic() + LOADING_REPORT_S
    loaded = 0.0
    while alive():
        info = _info(socket_path)
        # A socket proves nothing: what answers must be the process that was started.
        if info.get("process_id") == pid:
            if not info["loading"]:
                return str(info["run_id"])
            loaded = float(info.get("loading_loaded_perc", 0.0)) / 100
        now = time.monotonic()
        if now > deadline:
            raise ServerError(
                f"The server (pid {pid}) was not ready within {deadline_s:g} s (loaded {loaded:.0%}); "
                "allow its start more time or move old data away."
            )
        if now > report_at:
            on_loading(loaded)
            report_at = now + LOADING_REPORT_S
        if cancelled.wait(READY_POLL_S):
            raise ServerError(f"The start of the server (pid {pid}) was cancelled.")
    return None


def log_loading(loaded: float) -> None:
    """Log the loaded part, 0 to 1."""
    _log.info("The embedded server has loaded %.0f %% of its data.", loaded * 100)


def _info(socket_path: Path) -> dict[str, Any]:
    retry: Retry = Retry(NoBackoff(), 0)
    client = redis.Redis(unix_socket_path=str(socket_path), socket_timeout=_INFO_TIMEOUT_S, retry=retry)
    try:
        return {**client.info("server"), **client.info("persistence")}
    except redis.RedisError:
        return {}  # not bound yet, or busy between two steps of a load
    finally:
        client.close()
