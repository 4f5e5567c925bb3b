"""Which switches were seen on, kept on this machine's disk: a server that lost its last writes cannot tell.

Whoever keeps the gate remembers them too, but only until it is started again; this outlives both.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

log = logging.getLogger("fillonce.reconciler")


class Witness:
    """The switches of one account, in one file."""

    def __init__(self, path: Path) -> None:
        """Bind it; nothing is read or written yet."""
        self._path = path
        self._kept: Mapping[str, str] | None = None

    @classmethod
    def of(cls, data_dir: str, account: str) -> Self:
        """Bind the one of an account; `data_dir` as the settings have it."""
        return cls(Path(data_dir).expanduser().resolve() / "halts" / f"{account}.json")

    def recall(self) -> Mapping[str, str]:
        """Read what was seen last, by level and scope; nothing where nobody kept anything that can be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("which halts were on cannot be read on this machine: %s", type(error).__name__)
            return {}

    def keep(self, switches: Mapping[str, str]) -> None:
        """Write them, where they changed; whole or not at all, and on the disk when this returns.

        A disk that takes nothing is no reason to stop trading: it is said once, and the server has them.
        """
        if switches == self._kept:
            return
        self._kept = dict(switches)
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(self._kept))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            log.warning("which halts are on cannot be kept on this machine: %s", type(error).__name__)
