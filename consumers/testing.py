"""A pytest plugin for strategies: the whole pipeline, a simulated venue and the strategy under test, as one fixture.

    def test_it_leaves_what_it_entered(fillonce):
        fillonce.run(app)
        fillonce.house("SELL", 1, price=100)
        fillonce.place(strategy="mine", signal_id="s1", side="buy", type="limit", quantity=1, price=100)
        fillonce.until(lambda: fillonce.position() == 0)

Nothing is imitated but the venue: a real server, the real roles, real requests and streams. Faults come by marker,
`@pytest.mark.fillonce(faults={"accept_then_drop": 0.3})`. The fixture is plain, so any kind of test can use it.
"""

import importlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from consumers.rig import Rig


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker."""
    config.addinivalue_line(
        "markers", "fillonce(faults=None, liquidity=False, seed=1): what the venue of the fixture `fillonce` does"
    )


@pytest.fixture(scope="session")
def fillonce_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of this session's own; while it starts, the pipeline is imported."""
    importing = threading.Thread(target=importlib.import_module, args=("consumers.rig",))
    importing.start()
    from streams.server import EmbeddedServer

    with EmbeddedServer(Path(tmp_path_factory.mktemp("fillonce"))) as server:
        importing.join()
        yield server.url


@pytest.fixture
def fillonce(request: pytest.FixtureRequest, fillonce_server: str) -> "Iterator[Rig]":
    """The whole pipeline on an empty server and a new venue, its gate open."""
    from consumers.rig import Rig

    marker = request.node.get_closest_marker("fillonce")
    with Rig(fillonce_server, **(marker.kwargs if marker else {})) as rig:
        yield rig
