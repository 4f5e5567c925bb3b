"""The command line itself: help, completion, version, and what a mistake looks like."""

import fcntl
import subprocess
import sys

import pytest

from tests.commands import Shell, environment

COMMANDS = ("demo", "run", "publish", "orders", "positions", "status", "check", "ingest", "venues")
SLOW = ("ccxt", "faststream", "rich", "aiohttp", "websockets", "uvloop")


@pytest.fixture
def shell(tmp_path):
    """A shell in an empty directory."""
    return Shell(tmp_path)


def test_help_lists_every_command_and_the_exit_codes(shell):
    """`fillonce --help` names all commands and what the exit codes mean."""
    said = shell("--help")
    assert said.code == 0
    assert all(f"\n  {command} " in said.out for command in COMMANDS)
    assert "0 done, 1 found something wrong, 2 bad usage or settings" in said.out


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "demo"])
def test_help_of_each_command_shows_examples(shell, command):
    """`fillonce COMMAND --help` shows examples that begin with the program's name, one a line."""
    said = shell(command, "--help")
    assert said.code == 0
    assert "Examples:\n" in said.out
    assert f"    fillonce {command}" in said.out


def test_help_imports_nothing_slow(tmp_path):
    """No client library is imported to print help, so that help and completion are there at once."""
    code = (
        "import sys; sys.argv = ['fillonce', '--help']; from consumers.cli import main; main(); "
        f"print([one for one in {SLOW} if one in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment({}),
        check=True,
    )
    assert done.stderr.strip() == "[]"


def test_version_is_the_installed_one(shell):
    """`fillonce --version` names program and version."""
    said = shell("--version")
    assert (said.code, said.out) == (0, "fillonce 0.1.0\n")


def test_completion_is_offered_for_a_shell(shell):
    """`--show-completion` writes the script that `--install-completion` would install."""
    said = shell("--show-completion", "bash", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert said.code == 0
    assert "_FILLONCE_COMPLETE" in said.out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("", {"gateway", "ledger", "listener", "resolver", "strategy"}), ("l", {"ledger", "listener"}), ("x", set())],
)
def test_completion_offers_the_roles(shell, typed, offered):
    """Those that begin as what is typed does."""
    asked = {
        "_FILLONCE_COMPLETE": "complete_bash", "COMP_WORDS": f"fillonce run {typed}", "COMP_CWORD": "2",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }  # fmt: skip
    assert set(shell(env=asked).out.split()) == offered


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("orders", "--frobnicate"), "No such option: --frobnicate"),
        (("trade",), "No such command 'trade'"),
        (("run", "cook"), "There is no role cook; use one of gateway, ledger, listener, resolver, strategy."),
        (("orders", "--status", "done"), "There is no status done; use created,"),
        (("orders", "--limit", "0"), "Invalid value for '--limit'"),
        (("publish",), "Nothing to publish"),
        (("publish", "nowhere.jsonl"), "Cannot read nowhere.jsonl: No such file or directory."),
        (("status", "--watch", "--json"), "--json is one document"),
        (("ingest", "--venue", "nowhere", "x"), "There is no venue 'nowhere'; use one of binance"),
        (("ingest", "x"), "Missing option '--venue'"),
        (("--settings", "gone.toml", "status"), "There is no settings file gone.toml; name another with --settings."),
    ],
)
def test_bad_usage_is_a_sentence_and_exit_code_2(shell, arguments, sentence):
    """A mistake in the command is told on standard error, without a trace, and nothing is on standard output."""
    said = shell(*arguments)
    assert said.code == 2
    assert sentence in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[accounts", "is not TOML"),
        ('data_dri = "x"', "Settings cannot be used: Object contains unknown field `data_dri`"),
        ('[accounts."binance.main"]\nsymbols = []', "Settings cannot be used"),
        ('claim_idle_ms = 4000\n[accounts."binance.main"]\nsymbols = ["BTC/USDT"]', "must be above send_window_ms"),
    ],
)
def test_bad_settings_are_a_sentence_and_exit_code_2(shell, tmp_path, toml, sentence):
    """Settings that cannot be used are told by name before anything happens."""
    (tmp_path / "fillonce.toml").write_text(toml)
    said = shell("status")
    assert said.code == 2
    assert sentence in said.err


def test_without_a_pipeline_the_commands_say_how_to_start_one(shell):
    """A command that needs a server says in one sentence that none runs here, and exits 1."""
    said = shell("orders", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.err == "No pipeline runs on .fillonce; start it with `fillonce run`.\n"


def test_a_pipeline_whose_server_restarts_is_not_called_missing(shell, tmp_path):
    """While somebody holds the data directory and no server answers yet, the sentence says to try again."""
    (tmp_path / ".fillonce").mkdir()
    with (tmp_path / ".fillonce" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = shell("status")
    assert said.code == 1
    assert said.err == "The pipeline on .fillonce is starting or restarting its server; try again soon.\n"
    assert "start it with" in shell("status").err


def test_settings_come_from_the_file_that_the_environment_names(shell, tmp_path):
    """FILLONCE_SETTINGS names the file; FILLONCE_DATA_DIR wins over what it says; --settings wins over the name."""
    (tmp_path / "one.toml").write_text('data_dir = "one"')
    (tmp_path / "two.toml").write_text('data_dir = "two"')
    named = {"FILLONCE_SETTINGS": "one.toml"}
    assert "on one;" in shell("status", env=named).err
    assert "on two;" in shell("--settings", "two.toml", "status", env=named).err
    assert "on three;" in shell("status", env={**named, "FILLONCE_DATA_DIR": "three"}).err
