"""The configuration text and what is read from the server's own words."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ServerError
from streams.server_config import (
    LOG_EXCERPT_CHARS,
    VERSION_MIN,
    config_text,
    log_excerpt,
    parse_version,
    short_directory_name,
    socket_path_fits,
)

DIR = Path("/data")
NUMBER = st.integers(min_value=0, max_value=999)


def text_of(extra: dict[str, str] | None = None, data_dir: Path = DIR) -> str:
    """Configuration with some extra directives."""
    return config_text(
        data_dir=data_dir,
        socket_path=DIR / "run/valkey.sock",
        log_path=DIR / "valkey.log",
        fsync="always",
        extra=extra or {},
    )


@given(name=st.text(min_size=1), value=st.text())
def test_no_text_adds_a_line_of_its_own(name: str, value: str) -> None:
    """Whatever a path or a value holds, it stays inside its own directive."""
    assert text_of(data_dir=DIR / name).count("\n") == text_of().count("\n")
    with contextlib.suppress(ServerError):  # an open quote
        assert text_of({"maxmemory": value}).count("\n") == text_of().count("\n") + 1
        assert not set("\r\x00\x1b") & set(text_of({"maxmemory": value}))


@pytest.mark.parametrize("name", ["port", "unixsocket", "dir", "requirepass", "user", "include", "rename-command"])
def test_directives_of_the_supervisor_are_refused(name: str) -> None:
    """Nobody opens a port or moves the data by an extra directive."""
    with pytest.raises(ServerError, match=f"^The directive {name} belongs to the supervisor"):
        text_of({name: "x"})


@pytest.mark.parametrize("name", ["", "Port", "save\nport", "# port", " port"])
def test_what_is_no_directive_is_refused(name: str) -> None:
    """Only names as they stand in valkey.conf."""
    with pytest.raises(ServerError, match="is not a server directive"):
        text_of({name: "x"})


def test_an_open_quote_is_refused() -> None:
    """A value is split like a shell's words, so its quotes must close."""
    with pytest.raises(ServerError, match="has an open quote"):
        text_of({"save": "'60 1"})


def test_extra_directives_come_last_and_in_words() -> None:
    """The server takes the last line of a directive; each word is quoted for itself."""
    assert text_of({"save": "60 1", "maxmemory": ""}).endswith('save "60" "1"\nmaxmemory ""\n')


@given(product=st.sampled_from(["Redis", "Valkey"]), number=st.tuples(NUMBER, NUMBER, NUMBER), rest=st.text())
def test_a_version_is_read_back(product: str, number: tuple[int, int, int], rest: str) -> None:
    """Every version line of a server gives its product and number."""
    line = f"{product} server v={'.'.join(map(str, number))} sha={rest}"
    version = parse_version(line)
    assert version is not None
    assert (version.product, version.number) == (product, number)
    assert str(version) == f"{product} {number[0]}.{number[1]}.{number[2]}"
    assert (version.number >= VERSION_MIN) == (number[0] >= 7)


@given(st.text())
def test_other_text_is_no_version(text: str) -> None:
    """Text without the server's words gives None, never an exception."""
    assert parse_version(text.replace("server", "")) is None


@given(st.text())
def test_an_excerpt_is_one_bounded_line(log: str) -> None:
    """Whatever a log holds, its excerpt fits into a sentence."""
    excerpt = log_excerpt(log)
    assert excerpt
    assert len(excerpt) <= LOG_EXCERPT_CHARS
    assert len(excerpt.splitlines()) == 1


def test_an_excerpt_keeps_the_last_words_only() -> None:
    """Process ids and times are left out, the last three lines stay."""
    log = "".join(f"12345:M 21 Nov 2026 04:30:00.12{n} # reason {n}\n" for n in range(5)) + "\n###\n"
    assert log_excerpt(log) == "reason 2; reason 3; reason 4"
    assert log_excerpt("") == "it said nothing"


@given(st.text(min_size=1).filter(lambda name: "\0" not in name))
def test_the_short_directory_is_a_function_of_the_data_directory(name: str) -> None:
    """Same directory, same name; the name is short and plain."""
    short = short_directory_name(DIR / name)
    assert short == short_directory_name(DIR / name)
    assert short != short_directory_name(DIR / name / "other")
    assert len(short) == len("fillonce-") + 16


@pytest.mark.parametrize(
    ("characters", "fits"), [("a" * 102, True), ("a" * 103, False), ("é" * 51, True), ("é" * 52, False)]
)
def test_a_socket_path_is_measured_in_bytes(characters: str, fits: bool) -> None:
    """103 bytes fit everywhere, the root's slash included."""
    assert socket_path_fits(Path(f"/{characters}")) is fits
