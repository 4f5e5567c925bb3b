"""`docker-compose.yml` without Docker: it fits the schema, and each service's own command comes up and stops."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import pytest
from redis.asyncio import Redis
from ruamel.yaml import YAML

from adapters.simulated.process import SimulatedVenue, local_settings
from adapters.simulated.settings import SETTINGS_VARIABLE
from consumers.keyring import variables
from consumers.preflight import server as judge
from streams.connection import connect
from streams.keys import AccountKeys
from streams.server import find_binary
from streams.settings import read
from tests.commands import environment
from tests.support import wait_until, wait_until_async

HOME: Final = Path(__file__).resolve().parent.parent
FILE: Final = HOME / "docker-compose.yml"
ACCOUNT: Final = "binance.demo"
ROLES: Final = ("resolver", "ledger", "listener", "gateway-0", "gateway-1")
# Five interpreters import their libraries side by side on what may be two cores.
START_S: Final = 60.0
STOP_S: Final = 35.0


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Docker reads it, anchors merged."""
    read_file: dict[str, Any] = YAML(typ="safe").load(FILE.read_text())
    return read_file


@pytest.fixture
def venue() -> Iterator[SimulatedVenue]:
    """A simulated venue with the file's account."""
    balances = {"BTC": Decimal(10), "ETH": Decimal(10), "USDT": Decimal(100_000)}
    with SimulatedVenue(local_settings([ACCOUNT], balances)) as process:
        yield process


@pytest.fixture
def server(compose: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    """Address of a server that runs with the service's own arguments, on a socket in a directory of the test."""
    _, *arguments = compose["services"]["server"]["command"]
    at = arguments.index("--dir") + 1
    here = [str(find_binary()), *arguments[:at], str(tmp_path), *arguments[at + 1 :]]
    here += ["--port", "0", "--unixsocket", str(tmp_path / "s"), "--logfile", str(tmp_path / "log")]
    process = subprocess.Popen(here, cwd=tmp_path)
    try:
        wait_until((tmp_path / "s").exists)
        yield f"unix://{tmp_path / 's'}?db=0"
        process.terminate()
        assert process.wait(STOP_S) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def client(server: str) -> AsyncIterator[Redis]:
    """A connection to it."""
    made = connect(server, name="test", single=False)
    yield made
    await made.aclose()


def test_the_file_fits_the_compose_schema() -> None:
    """What `docker compose config` would refuse is refused here."""
    said = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_service_is_healthy_by_a_check_and_waits_for_those_it_needs(compose: dict[str, Any]) -> None:
    """No service starts before what it asks is well, and none is stopped before its answers are in."""
    services = compose["services"]
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["stop_grace_period"], name
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services
            assert how == {"condition": "service_healthy"}
    assert {name for name in services if "depends_on" not in services[name]} == {"server", "venue"}


def test_no_service_may_more_than_it_needs(compose: dict[str, Any]) -> None:
    """Read-only, without capabilities or new privileges; no port is published, and the store's network is closed."""
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "ports" not in service
        assert "privileged" not in service
    assert compose["networks"]["store"] == {"internal": True}
    assert compose["services"]["server"]["networks"] == ["store"]


def test_no_secret_is_written_into_the_file(compose: dict[str, Any]) -> None:
    """Keys come from files that are not part of the project, and Docker is not sent them either."""
    key, secret = variables(ACCOUNT)
    for name, service in compose["services"].items():
        given = service.get("environment", {})
        assert not {key, secret, SETTINGS_VARIABLE} & set(given), name
        assert name == "server" or all(one.startswith(".secrets/") for one in service["env_file"])
    ignored = (HOME / ".dockerignore").read_text().split("\n")
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith("!") and "secrets" in line]


def test_the_settings_of_every_role_are_the_same_and_can_be_read(compose: dict[str, Any]) -> None:
    """Gateways that differ in a window or a symbol would be hard to tell apart."""
    found = [read("", compose["services"][role]["environment"]) for role in ROLES]
    assert all(one == found[0] for one in found)
    assert found[0].accounts[ACCOUNT].rest_url.startswith("http://venue:")


def test_the_image_runs_as_nobody_special_and_installs_only_what_is_pinned() -> None:
    """Hashes are required, our own package brings no dependency, and the last user is not root."""
    text = (HOME / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.*)", text)
    assert [("--require-hashes" in one, "--no-deps" in one) for one in installs] == [(True, False), (False, True)]
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] not in {"root", "0"}
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    copied = {one for line in lines for one in line.split()}
    allowed = {line[1:] for line in (HOME / ".dockerignore").read_text().split("\n") if line.startswith("!")}
    assert copied == allowed
    assert all((HOME / one).exists() for one in copied)


async def test_the_servers_command_makes_a_server_that_is_fit(client: Redis) -> None:
    """It persists each write before it answers and evicts nothing; nothing is even warned of."""
    found = await judge(client)
    assert [(one.subject, one.sentence) for one in found if one.level != "ok"] == []


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_every_role_comes_up_by_its_command_and_stops_on_sigterm(
    compose: dict[str, Any], server: str, client: Redis, venue: SimulatedVenue, tmp_path: Path
) -> None:
    """Each beats, the health check calls it well until it hangs, and after SIGTERM it ends with 0 and takes it back."""
    keys, folder = AccountKeys(ACCOUNT), tmp_path / "roles"
    folder.mkdir()
    given = {name: _environment(compose["services"][name], server, venue, port) for name, port in free_ports(ROLES)}
    running = {name: _start(compose["services"][name], given[name], folder) for name in ROLES}
    try:
        wanted = {(name.replace("-", ".") if "-" in name else f"{name}.0").encode() for name in ROLES}

        async def up() -> bool:
            assert [name for name, one in running.items() if one.poll() is not None] == []
            beats: Any = await client.hgetall(keys.roles)
            return wanted <= set(beats)

        await wait_until_async(up, START_S)

        def well(name: str) -> bool:
            return _code(_health(compose["services"][name]), given[name], folder) == 0

        await wait_until_async(lambda: well("resolver") and well("gateway-1"))
        running["gateway-1"].send_signal(signal.SIGSTOP)
        assert not well("gateway-1")
        running["gateway-1"].send_signal(signal.SIGCONT)
        for one in running.values():
            one.send_signal(signal.SIGTERM)
        assert {name: one.wait(STOP_S) for name, one in running.items()} == dict.fromkeys(ROLES, 0)
        assert await client.hlen(keys.roles) == 0
    finally:
        for one in running.values():
            one.kill()
            one.wait()


def test_the_venues_command_listens_and_stops_on_sigterm(compose: dict[str, Any], tmp_path: Path) -> None:
    """With its port and host made local: one line when it listens, the health check passes, 0 after SIGTERM."""
    service = compose["services"]["venue"]
    argv = ["127.0.0.1" if word == "0.0.0.0" else "0" if word == "8080" else word for word in _argv(service)]  # noqa: S104 - inside the container
    assert ("127.0.0.1" in argv, "0" in argv) == (True, True)
    told = msgspec.json.encode(local_settings([ACCOUNT], {})).decode()
    process = subprocess.Popen(argv, env=environment({SETTINGS_VARIABLE: told}), cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = orjson.loads(process.stdout.readline())["port"]
        check = [word.replace("8080", str(port)) for word in service["healthcheck"]["test"][1:]]
        assert subprocess.run([sys.executable, *check[1:]], check=False).returncode == 0
        process.terminate()
        assert process.wait(STOP_S) == 0
    finally:
        process.kill()
        process.communicate()


def _argv(service: dict[str, Any]) -> list[str]:
    """A service's command with the programs of the environment under test."""
    program, *rest = service["command"]
    programs = {"fillonce": str(Path(sys.executable).parent / "fillonce"), "python": sys.executable}
    return [programs[program], *rest]


def _start(service: dict[str, Any], env: dict[str, str], folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(_argv(service), env=env, cwd=folder, stdin=subprocess.DEVNULL)


def _code(check: list[str], env: dict[str, str], folder: Path) -> int:
    """Exit code of a health check, run as Docker runs it."""
    return subprocess.run(check, env=env, cwd=folder, capture_output=True, check=False).returncode


def free_ports(names: Iterable[str]) -> list[tuple[str, int]]:
    """A port that nobody listens on for each, because here they share one machine."""
    found: list[tuple[str, int]] = []
    with ExitStack() as stack:
        for name in names:
            one = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            found.append((name, one.getsockname()[1]))
    return found


def _environment(service: dict[str, Any], server: str, venue: SimulatedVenue, port: int) -> dict[str, str]:
    """A service's environment with local addresses, and the keys its env_file would bring."""
    account, (key, secret) = venue.settings.accounts[0], variables(ACCOUNT)
    given = {name: str(value) for name, value in service["environment"].items()}
    accounts = given["FILLONCE_ACCOUNTS"]
    for name, local in (("http://venue:8080", venue.rest_url), ("ws://venue:8080/ws-api/v3", venue.ws_url)):
        assert name in accounts
        accounts = accounts.replace(name, local)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return environment(
        {**given, "PATH": path, "FILLONCE_ACCOUNTS": accounts, "FILLONCE_REDIS_URL": server,
         "FILLONCE_METRICS": f"127.0.0.1:{port}",
         key: account.api_key, secret: account.secret}
    )  # fmt: skip


def _health(service: dict[str, Any]) -> list[str]:
    kind, program, *rest = service["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    return [sys.executable, *rest]
