"""What is kept on disk of the switches that were seen on."""

from pathlib import Path

import pytest

from consumers.witness import Witness


def test_what_was_kept_is_recalled_by_whoever_comes_next(tmp_path: Path) -> None:
    """The last one counts, none too; nothing lies about beside it."""
    path = tmp_path / "halts" / "binance.main.json"
    assert Witness(path).recall() == {}
    first = Witness(path)
    first.keep({"halt": "why", "reduce:strategy:s": "because"})
    assert Witness(path).recall() == {"halt": "why", "reduce:strategy:s": "because"}
    first.keep({})
    assert Witness(path).recall() == {}
    assert [one.name for one in path.parent.iterdir()] == ["binance.main.json"]


def test_the_same_switches_are_written_once(tmp_path: Path) -> None:
    """The gate is looked at twice a second."""
    path = tmp_path / "a.json"
    witness = Witness(path)
    witness.keep({"halt": "why"})
    path.unlink()
    witness.keep({"halt": "why"})
    assert not path.exists()


def test_a_file_that_cannot_be_read_or_written_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server has them all the same."""
    torn = tmp_path / "torn.json"
    torn.write_bytes(b'{"halt"')
    assert Witness(torn).recall() == {}
    (tmp_path / "file").touch()
    Witness(tmp_path / "file" / "a.json").keep({"halt": "why"})
    assert [one.message.split(":")[0] for one in caplog.records] == [
        "which halts were on cannot be read on this machine",
        "which halts are on cannot be kept on this machine",
    ]
