"""Specification of consumers/keyring.py: a key comes from its owner's environment or file, and is never shown."""

import os
from pathlib import Path

import pytest

from adapters.credentials import Credentials
from consumers.keyring import credentials, known_secrets, passphrase_variable, variables
from streams.errors import UsageError
from streams.settings import AccountSettings, Settings

ACCOUNT = "binance.main"
KEY, SECRET = "FILLONCE_KEY_BINANCE_MAIN", "FILLONCE_SECRET_BINANCE_MAIN"


def settings(file: Path | str = "") -> AccountSettings:
    """An account with or without a file of credentials."""
    return AccountSettings(symbols=("BTC/USDT",), credentials_file=str(file))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file as it should be."""
    file = tmp_path / "key.json"
    file.write_text('{"api_key":"file-key","api_secret":"file-secret"}')
    file.chmod(0o600)
    return file


def test_the_environment_names_the_account() -> None:
    """Whatever is no letter or digit becomes an underscore."""
    assert variables(ACCOUNT) == (KEY, SECRET)
    assert variables("sim.a-b_C1") == ("FILLONCE_KEY_SIM_A_B_C1", "FILLONCE_SECRET_SIM_A_B_C1")


def test_a_key_may_have_a_passphrase(tmp_path: Path) -> None:
    """In the environment or in the file; it is a secret like the others."""
    file = tmp_path / "key.json"
    file.write_text('{"api_key":"k","api_secret":"s","passphrase":"the-file-word"}')
    file.chmod(0o600)
    assert credentials(ACCOUNT, settings(file), {}) == Credentials("k", "s", "the-file-word")
    variable = passphrase_variable(ACCOUNT)
    assert variable == "FILLONCE_PASSPHRASE_BINANCE_MAIN"
    env = {KEY: "k", SECRET: "s", variable: "the-word"}
    found = credentials(ACCOUNT, settings(), env)
    assert found.passphrase == "the-word"
    assert "the-word" not in repr(found)
    assert "the-word" in known_secrets(Settings(accounts={ACCOUNT: settings()}), env)


def test_the_environment_wins_over_the_file(key_file: Path) -> None:
    """Both variables are there."""
    found = credentials(ACCOUNT, settings(key_file), {KEY: "env-key", SECRET: "env-secret"})
    assert found == Credentials("env-key", "env-secret")


@pytest.mark.parametrize("env", [{}, {KEY: "env-key"}, {SECRET: "env-secret"}, {KEY: "", SECRET: "env-secret"}])
def test_half_of_the_environment_is_none_of_it(key_file: Path, env: dict[str, str]) -> None:
    """A key of one place is never joined with a secret of another."""
    assert credentials(ACCOUNT, settings(key_file), env) == Credentials("file-key", "file-secret")


def test_without_either_the_sentence_names_the_variables() -> None:
    """And the setting; a secret that was found is not in it."""
    with pytest.raises(UsageError, match=f"set {KEY} and {SECRET}, or credentials_file") as refused:
        credentials(ACCOUNT, settings(), {SECRET: "env-secret"})
    assert "env-secret" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601, 0o610])
def test_a_file_that_others_can_open_is_refused(key_file: Path, mode: int) -> None:
    """Group or world, for reading, writing or more; the sentence is the remedy."""
    key_file.chmod(mode)
    with pytest.raises(UsageError, match=r"Others can read .*; run: chmod 600 "):
        credentials(ACCOUNT, settings(key_file), {})


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(key_file: Path, mode: int) -> None:
    """Writable or not."""
    key_file.chmod(mode)
    assert credentials(ACCOUNT, settings(key_file), {}) == Credentials("file-key", "file-secret")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_owner_is_refused(key_file: Path) -> None:
    """Its owner could change it."""
    os.chown(key_file, 65_534, 65_534)
    with pytest.raises(UsageError, match="Others can read"):
        credentials(ACCOUNT, settings(key_file), {})


@pytest.mark.parametrize("text", ["", "hunter2", '{"api_key":"hunter2"}', '{"api_key":"hunter2","api_secret":3}',
                                  '{"api_key":"k","api_secret":"hunter2","more":1}', "\x00\xff"])  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_is_told_without_its_content(key_file: Path, text: str) -> None:
    """The sentence says what should be in it."""
    key_file.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="must be JSON with api_key and api_secret") as refused:
        credentials(ACCOUNT, settings(key_file), {})
    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(UsageError, match=r"Cannot read .*gone\.json: No such file"):
        credentials(ACCOUNT, settings(tmp_path / "gone.json"), {})


def test_credentials_show_nothing_of_themselves(key_file: Path) -> None:
    """Neither in a log, nor in an error, nor in a format."""
    held = credentials(ACCOUNT, settings(key_file), {})
    for shown in (repr(held), str(held), f"{held}", f"{[held]!r}", "%s" % held):  # noqa: UP031 - this form too
        assert "file-key" not in shown
        assert "file-secret" not in shown


@pytest.mark.parametrize("other", ["binance.Main", "binance.main-", "binance.main_"])
def test_two_accounts_never_share_a_variable(other: str) -> None:
    """Else the orders of one account go out with the key of the other: settings refuse such a pair."""
    first = ACCOUNT if other == "binance.Main" else "binance.main-" if other.endswith("_") else "binance.main_"
    assert variables(first) != variables(other) or not _accepted(first, other)


def _accepted(*accounts: str) -> bool:
    try:
        Settings(accounts={name: settings() for name in accounts})
    except ValueError:
        return False
    return True
