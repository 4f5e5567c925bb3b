"""The examples in other languages, run as they stand against a pipeline that trades."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest

from tests.support import wait_until

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def socket_of(url: str) -> str:
    """Path of the server's socket."""
    return unquote(urlsplit(url).path)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node.js example with its one package, in a folder of its own."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node.js here")
    folder = tmp_path_factory.mktemp("node")
    for file in (EXAMPLES / "node").glob("*.*js*"):
        shutil.copy(file, folder)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        pytest.skip(f"npm cannot install the example's package: {done.stderr.strip()[-200:]}")
    return folder


def run(folder: Path, url: str, *words: str, env: Mapping[str, str] | None = None) -> str:
    """Run one program to its end; what it wrote."""
    given = {**os.environ, "FILLONCE_SOCKET": socket_of(url), **(env or {})}
    done = subprocess.run(words, cwd=folder, env=given, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_a_strategy_in_javascript_publishes_once_and_hears_of_every_execution(node: Path, fillonce: Any) -> None:
    """The same signal twice is one order; the follower is killed and goes on where it was."""
    fillonce.house("SELL", 2, price=60_000)
    told = {"SIGNAL_TIME": subprocess.check_output(["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"], text=True).strip()}
    for signal_id in ("n1", "n1", "n2"):
        run(node, fillonce.url, "node", "publish.mjs", signal_id, "buy", "1", "60000", env=told)
    fillonce.until(lambda: [order.status for order in fillonce.orders("node")] == ["filled", "filled"])
    first = run(node, fillonce.url, "node", "follow.mjs", "1").splitlines()
    second = run(node, fillonce.url, "node", "follow.mjs", "1").splitlines()
    executions = [orjson.loads(line) for line in first + second]
    assert [(one["side"], one["quantity"], one["price"]) for one in executions] == [("buy", "1", "60000")] * 2
    assert len({one["event"] for one in executions}) == 2
    assert len(fillonce.venue_orders()) == 2


def test_one_line_of_shell_places_an_order(fillonce: Any) -> None:
    """With redis-cli, or with what stands in for it here."""
    socket = socket_of(fillonce.url)
    program = shutil.which("redis-cli")
    reach = (
        f"{program} -s {socket}" if program else f"{sys.executable} {Path(__file__).with_name('redis_cli.py')} {socket}"
    )
    run(EXAMPLES, fillonce.url, "shell/publish.sh", "one", "buy", "1", "100", env={"REDIS_CLI": reach})
    wait_until(lambda: [order.status for order in fillonce.orders("shell")] == ["open"])
