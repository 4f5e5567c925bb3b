"""What runner and role processes share: one page of memory in a file, so that an armed point costs a look, not a call.

The page outlives whoever dies: a kill -9 loses nothing that was written to it.
"""

import mmap
import struct
import time
from pathlib import Path
from typing import Final

import msgspec

from tests.crash.points import PROFILES, Profile, Target

_SIZE: Final = 4096
_GENERATION, _COUNT, _FIRED, _PROFILE, _SERVER, _TEXT_LENGTH, _CUT = range(0, 56, 8)
_TEXT: Final = 64
_WHOLE, _TO_CUT, _WAS_CUT = range(3)
_LOOK_S: Final = 0.001
_target = msgspec.json.Decoder(Target)


class Board:
    """The page of one lane; use `create` once, then open it by path in every process."""

    def __init__(self, path: Path) -> None:
        """Map an existing page."""
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        self._generation = -1
        self._armed: Target | None = None

    @classmethod
    def create(cls, path: Path) -> "Board":
        """Make an empty page."""
        path.write_bytes(bytes(_SIZE))
        return cls(path)

    @property
    def fired(self) -> bool:
        """Whether the armed point was struck."""
        return bool(self._read(_FIRED))

    @property
    def profile(self) -> Profile:
        """The scenario that runs; a recording says where a point was passed."""
        return PROFILES[self._read(_PROFILE)]

    @profile.setter
    def profile(self, profile: Profile) -> None:
        self._write(_PROFILE, PROFILES.index(profile))

    @property
    def server_pid(self) -> int:
        """Process id of the Redis server."""
        return self._read(_SERVER)

    @server_pid.setter
    def server_pid(self, pid: int) -> None:
        self._write(_SERVER, pid)

    @property
    def passed(self) -> int:
        """How often the armed point was passed."""
        return self._read(_COUNT)

    def arm(self, target: Target | None) -> None:
        """Arm one target, or none."""
        text = msgspec.json.encode(target) if target else b""
        self._write(_FIRED, 0)
        self._write(_COUNT, 0)
        self._write(_CUT, _WHOLE)
        self._page[_TEXT : _TEXT + len(text)] = text
        self._write(_TEXT_LENGTH, len(text))
        self._write(_GENERATION, self._read(_GENERATION) + 1)

    def armed(self) -> Target | None:
        """The target that is armed and not yet struck."""
        generation = self._read(_GENERATION)
        if generation != self._generation:
            text = self._page[_TEXT : _TEXT + self._read(_TEXT_LENGTH)]
            self._armed = _target.decode(text) if text else None
            self._generation = generation
        return None if self.fired else self._armed

    @property
    def to_cut(self) -> bool:
        """Whether a role waits for the replica to be cut off."""
        return self._read(_CUT) == _TO_CUT

    def cut_done(self) -> None:
        """Let that role go on."""
        self._write(_CUT, _WAS_CUT)

    def take(self, target: Target) -> bool:
        """Count one passage of the armed point; True for the one that is to be struck.

        Waits where the replica is to be cut off first, so that what follows is what gets lost.
        """
        count = self._read(_COUNT) + 1
        self._write(_COUNT, count)
        if target.strike == "history" and count == target.kept:
            self._write(_CUT, _TO_CUT)
            while self.to_cut:
                time.sleep(_LOOK_S)
        if count != target.nth:
            return False
        self._write(_FIRED, 1)
        return True

    def _read(self, at: int) -> int:
        number: int = struct.unpack_from("<q", self._page, at)[0]
        return number

    def _write(self, at: int, number: int) -> None:
        struct.pack_into("<q", self._page, at, number)
