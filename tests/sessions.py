"""Sessions of pytest inside tests: the same tests against another server."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parent.parent
CONTRACT: Final = (
    "tests/streams/test_scripts.py",
    "tests/test_old_server.py::test_one_order_from_publish_to_verify",
)
"""What a script does on a server, and one order from publish to verify."""


@contextmanager
def pytest_on(url: str, *tests: str) -> Iterator["subprocess.Popen[str]"]:
    """Run tests against a server in a process of its own, which ends with this one's test."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--redis-url={url}", *tests]
    session = subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield session
    finally:
        if session.poll() is None:
            session.kill()
            session.communicate()
