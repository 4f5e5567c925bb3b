"""Specification of consumers/logs.py: one JSON object a line, and no secret in it."""

import logging
import subprocess
import sys
import urllib.parse
from collections.abc import Iterable
from types import TracebackType

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.logs import JsonLines

SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"  # the venue's own documented example
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAbCdEf\n-----END PRIVATE KEY-----\n"
Raised = tuple[type[BaseException], BaseException, TracebackType | None]


def line(message: str, *args: object, secrets: Iterable[str] = (SECRET,), error: Raised | None = None) -> str:
    """One formatted line."""
    record = logging.LogRecord("fillonce.test", logging.WARNING, __file__, 1, message, args, error)
    return JsonLines("gateway.0", secrets).format(record)


def test_a_line_is_one_json_object_with_its_fields() -> None:
    """Who says what, how loud and when."""
    said = orjson.loads(line("%d orders", 7))
    assert {name: said[name] for name in ("level", "role", "from", "message")} == {
        "level": "warning", "role": "gateway.0", "from": "fillonce.test", "message": "7 orders",
    }  # fmt: skip
    assert said["at"][:2] == "20"
    assert "trace" not in said


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_whatever_the_message_it_stays_one_line(message: str) -> None:
    """Line breaks and quotes are escaped, the text survives."""
    written = line("%s", message)
    assert "\n" not in written
    assert orjson.loads(written)["message"] == message


def test_a_secret_is_blotted_out_of_message_and_arguments() -> None:
    """Wherever it stands."""
    for written in (line(f"key {SECRET}"), line("key %s", SECRET), line("%r", {"headers": [SECRET]})):
        assert SECRET not in written
        assert "…" in orjson.loads(written)["message"]


def test_a_secret_is_blotted_out_of_an_exception_and_its_causes() -> None:
    """The trace of an error holds the texts of everything that led to it."""
    try:
        _fail_twice()
    except KeyError as error:
        written = line("failed", error=(type(error), error, error.__traceback__))
    said = orjson.loads(written)
    assert SECRET not in written
    assert "ValueError: invalid literal for int() with base 10: 'signed with …'" in said["trace"]
    assert "KeyError" in said["trace"]


def _fail_twice() -> None:
    try:
        int(f"signed with {SECRET}")
    except ValueError as cause:
        raise KeyError(SECRET) from cause


def test_every_secret_is_blotted_out_and_an_empty_one_is_no_secret() -> None:
    """An account without a key in the environment blots nothing."""
    written = line("one two three", secrets=["one", "", "three"])
    assert orjson.loads(written)["message"] == "… two …"


@pytest.mark.parametrize("secret", [PEM, 'pass"word', "back\\slash", "tab\there"])
def test_a_secret_with_signs_that_json_escapes_is_blotted_out(secret: str) -> None:
    """Private keys in PEM have line breaks; an exception's repr writes them as escapes."""
    for written in (line("%s", secret, secrets=[secret]), line("%r", [secret], secrets=[secret])):
        assert orjson.loads(written)["message"].strip("[]'\"") == "…"


@pytest.mark.parametrize("secret", ["role", '"', "{"])
def test_a_secret_that_is_a_word_of_the_line_does_not_break_it(secret: str) -> None:
    """A test account's secret may be any word."""
    said = orjson.loads(line(f"a {secret} b", secrets=[secret]))
    assert said["role"] == "gateway.0"
    assert said["message"] == "a … b"


def test_a_text_that_is_no_unicode_is_logged_all_the_same() -> None:
    """Names from the file system can hold bytes that are no text."""
    said = orjson.loads(line("%s \udcff", SECRET))
    assert said["message"].startswith("… ")


def test_a_process_writes_its_logs_to_standard_error_and_keeps_libraries_quiet() -> None:
    """Standard output belongs to results; the libraries' chatter about every request is left out."""
    program = (
        "import logging\nfrom consumers.logs import set_up\n"
        f"set_up('ledger.0', 'info', ['{SECRET}'])\n"
        "logging.getLogger('websockets').info('chatter')\nlogging.getLogger('fillonce').debug('quiet')\n"
        f"logging.getLogger('fillonce').info('hello {SECRET}')\n"
        f"try:\n    raise RuntimeError('{SECRET}')\nexcept RuntimeError:\n"
        "    logging.getLogger('fillonce').exception('failed')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not done.stdout
    said = [orjson.loads(one) for one in done.stderr.splitlines()]
    assert [one["message"] for one in said] == ["hello …", "failed"]
    assert urllib.parse.quote(SECRET) not in done.stderr
