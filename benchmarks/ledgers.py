"""Ledgers as processes of their own, one an account: `python -m benchmarks.ledgers URL ACCOUNT…`.

Each is the worker that an operator starts; they are forked from one process that has imported everything, because a
dozen imports at once would take longer than what is measured.
"""

import os
import signal
import sys
from collections.abc import Sequence

import uvloop

from benchmarks.child import say
from benchmarks.workers import settings
from consumers.roles import Task
from consumers.worker import work
from streams.parent import end_with_parent

# The ledgers are stopped while they are fed: nobody may find them dead.
LEASE_MS = 60_000


def main(arguments: Sequence[str]) -> None:
    """Run the ledgers until SIGTERM."""
    end_with_parent()
    url, *accounts = arguments
    pids = [_fork(url, one) for one in accounts]

    def end(*_: object) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    say({"pids": pids})
    for pid in pids:
        os.waitpid(pid, 0)
    say({})


def _fork(url: str, account: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    end_with_parent()
    os.close(1)  # the parent speaks for all
    code = 1
    try:
        code = uvloop.run(work(Task(role="ledger", account=account), settings(url, account, lease_ms=LEASE_MS), {}))
    finally:
        os._exit(code)  # whatever happened, this is not the process that forks


if __name__ == "__main__":
    main(sys.argv[1:])
