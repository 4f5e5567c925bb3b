"""Real commands as real processes: `fillonce …` of the environment under test, in a directory of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

PROGRAM: Final = str(Path(sys.executable).parent / "fillonce")
TIMEOUT_S: Final = 40


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output; fails when there is anything beside it."""
        return orjson.loads(self.out)


class Shell:
    """Runs `fillonce` in one directory with one environment."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.folder, self.env = folder, environment(env or {})

    def __call__(
        self, *arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None,
        timeout_s: int = TIMEOUT_S,
    ) -> Said:  # fmt: skip
        """Run one command to its end."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [PROGRAM, *arguments], input=given, capture_output=True, cwd=self.folder, env={**self.env, **(env or {})},
            timeout=timeout_s, check=False,
        )  # fmt: skip
        said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in said.err, said.err
        return said

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run one command beside the test; its output goes to files named by its first word."""
        name = arguments[0]
        with (self.folder / f"{name}.out").open("ab") as out, (self.folder / f"{name}.err").open("ab") as err:
            process = subprocess.Popen(
                [PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.folder, env=self.env
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def written(self, name: str) -> str:
        """What a command that was started has said so far, on both streams."""
        return "".join((self.folder / f"{name}.{end}").read_text() for end in ("out", "err"))


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings that were left in it, and with `given`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FILLONCE_")}
    # A bar or colours would make the output depend on who runs the tests.
    return {**kept, "NO_COLOR": "1", "COLUMNS": "240", **given}


def words(text: str) -> str:
    """A table's text on one line, without its frame."""
    return " ".join(text.replace("│", " ").split())
