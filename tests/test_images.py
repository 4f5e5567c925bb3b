"""The scripts on the servers people run: official images, where a Docker engine is present."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import redis

from tests.sessions import CONTRACT, pytest_on
from tests.support import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PORT = 6379
RUN_S = 120
ENGINE_S = 10
START_S = 30.0
IMAGES = ("redis:7.0", "redis:7.4", "redis:8", "valkey/valkey:8", "valkey/valkey:9")


@pytest.fixture(scope="module")
def engine() -> None:
    """A Docker engine that answers."""
    docker = shutil.which("docker")
    asked = docker and subprocess.run([docker, "info"], capture_output=True, timeout=ENGINE_S, check=False)
    if not asked or asked.returncode:
        pytest.skip("No Docker engine answers here, so the scripts are not run on the official images.")


@pytest.fixture(params=IMAGES)
def image_url(request: pytest.FixtureRequest, engine: None) -> Iterator[str]:
    """The address of a server in a container of its own, configured as the embedded one."""
    del engine
    from testcontainers.core.container import DockerContainer

    program = "valkey-server" if "valkey" in request.param else "redis-server"
    container = DockerContainer(request.param).with_exposed_ports(PORT)
    container = container.with_command(f"{program} --appendonly yes --appendfsync always --save ''")
    with container as started:
        url = f"redis://{started.get_container_host_ip()}:{started.get_exposed_port(PORT)}/0"
        wait_until(lambda: _answers(url), START_S)
        yield url


async def test_the_scripts_keep_their_contract_on_the_image(image_url: str) -> None:
    """The tests of the scripts and of one order from publish to verify, in a session against it."""
    with pytest_on(image_url, *CONTRACT) as session:
        out, _ = await asyncio.to_thread(session.communicate, timeout=RUN_S)
    assert (session.returncode, " passed" in out) == (0, True), out[-3_000:]


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
