"""Starting, stopping and never outliving: the venue as a process."""

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from adapters.simulated.process import SimulatedVenue, local_settings
from tests.support import wait_until

SETTINGS = local_settings(["main"], {})


def test_it_stops_when_it_is_told_to():
    """SIGTERM ends it with 0, and its port is free again."""
    with SimulatedVenue(SETTINGS) as venue:
        process = venue._process
        assert process is not None
        assert venue.rest_url.startswith("http://127.0.0.1:")
    assert process.returncode == 0


def test_no_secret_is_in_its_arguments_or_reprs():
    """Arguments of a process are public; keys and tokens came by another way."""
    with SimulatedVenue(SETTINGS) as venue:
        assert venue._process is not None
        shown = str(venue._process.args) + repr(venue) + repr(venue.settings) + repr(venue.control())
        account = venue.settings.accounts[0]
        for secret in (account.secret, account.api_key, venue.settings.control_token):
            assert secret not in shown + repr(account)


def test_it_dies_with_its_parent():
    """A parent that is killed takes the venue with it."""
    program = (
        "import sys, time\n"
        "from adapters.simulated.process import SimulatedVenue, local_settings\n"
        "venue = SimulatedVenue(local_settings(['main'], {}))\n"
        "venue.start()\n"
        "print(venue.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether a process still runs; one that nobody waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123  it may vanish while it is read
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (b"{}", "correct the settings"),
        (msgspec.json.encode({"control_token": "short", "accounts": []}), "control token of at least"),
    ],
)
def test_wrong_settings_end_it_with_one_sentence(document, sentence):
    """Exit code 2 and what to do, without a traceback."""
    command = [sys.executable, "-m", "adapters.simulated"]
    ended = subprocess.run(command, input=document, capture_output=True, check=False)
    assert ended.returncode == 2
    assert sentence in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


def test_settings_may_come_from_the_environment(tmp_path):
    """The variable wins over standard input, and fault rates may come from a file."""
    faults = tmp_path / "faults.json"
    faults.write_text('{"throttled": 1.0}')
    command = [sys.executable, "-m", "adapters.simulated", "--keys-from-env", "VENUE", "--faults", str(faults)]
    environment = {**os.environ, "VENUE": msgspec.json.encode(SETTINGS).decode()}
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as venue:
        assert venue.stdout is not None
        assert msgspec.json.decode(venue.stdout.readline())["port"] > 0
        venue.terminate()
    assert venue.returncode == 0


def test_wrong_rates_are_refused(tmp_path):
    """A rate above one, or of a kind that does not exist, is a sentence and exit code 2."""
    for text in ('{"throttled": 1.5}', '{"nonsense": 0.5}', "no"):
        faults = tmp_path / "faults.json"
        faults.write_text(text)
        command = [sys.executable, "-m", "adapters.simulated", "--faults", str(faults)]
        ended = subprocess.run(command, input=msgspec.json.encode(SETTINGS), capture_output=True, check=False)
        assert ended.returncode == 2
        assert "correct the fault rates" in ended.stderr.decode()


def test_a_venue_that_cannot_start_says_so():
    """A port that is taken is an error here, not a venue that never answers."""
    with SimulatedVenue(SETTINGS) as venue:
        port = int(venue.rest_url.rpartition(":")[2])
        with pytest.raises(RuntimeError, match="did not start"):
            SimulatedVenue(SETTINGS, port=port).start()
