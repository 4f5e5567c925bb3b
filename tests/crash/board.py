"""What runner and role processes share: one page of memory in a file, so that an armed point costs a look, not a call.

The page outlives whoever dies: a kill -9 loses nothing that was written to it.
"""

import fcntl
import mmap
import os
import select
import signal
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.crash.points import PROFILES, VOLLEY_MAX, Profile, Target

_SIZE: Final = 16_384
_GENERATION, _PROFILE, _SERVER, _TEXT_LENGTH, _CUT, _BORN = range(0, 48, 8)
_COUNTS, _FIRED, _TEXT = 64, 128, 256  # a number for every target of a volley, twice; then the volley
_WHOLE, _TO_CUT, _WAS_CUT = range(3)
_LOOK_S: Final = 0.001
_volley = msgspec.json.Decoder(list[Target])


class Board:
    """The page of one lane; use `create` once, then open it by path in every process."""

    def __init__(self, path: Path) -> None:
        """Map an existing page."""
        self._file = os.open(path, os.O_RDWR)
        self._page = mmap.mmap(self._file, _SIZE)
        self._generation = -1
        self._armed: Sequence[Target] = ()

    @classmethod
    def create(cls, path: Path) -> "Board":
        """Make an empty page."""
        path.write_bytes(bytes(_SIZE))
        return cls(path)

    @property
    def profile(self) -> Profile:
        """The scenario that runs; a recording says where a point was passed."""
        return PROFILES[self._read(_PROFILE)]

    @profile.setter
    def profile(self, profile: Profile) -> None:
        self._write(_PROFILE, PROFILES.index(profile))

    def serve(self, pid: int) -> None:
        """Name the process of the Redis server."""
        self._write(_BORN, _born(pid))
        self._write(_SERVER, pid)

    def kill_server(self) -> None:
        """Kill the server and return when it is dead; nothing happens when it was before.

        Ids of dead processes are used again within minutes here, so the one to be killed is known by its birth too.
        """
        try:
            process = os.pidfd_open(pid := self._read(_SERVER))
        except ProcessLookupError:
            return
        try:
            if _born(pid) == self._read(_BORN):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                select.select([process], [], [])
        except ProcessLookupError:
            pass
        finally:
            os.close(process)

    def arm(self, volley: Sequence[Target]) -> None:
        """Arm targets, or none."""
        assert len(volley) <= VOLLEY_MAX
        for number in range(VOLLEY_MAX):
            self._write(_COUNTS + 8 * number, 0)
            self._write(_FIRED + 8 * number, 0)
        self._write(_CUT, _WHOLE)
        text = msgspec.json.encode(volley)
        self._page[_TEXT : _TEXT + len(text)] = text
        self._write(_TEXT_LENGTH, len(text))
        self._write(_GENERATION, self._read(_GENERATION) + 1)

    def armed(self) -> Sequence[Target]:
        """The targets, those that were struck too."""
        generation = self._read(_GENERATION)
        if generation != self._generation:
            text = self._page[_TEXT : _TEXT + self._read(_TEXT_LENGTH)]
            self._armed = _volley.decode(text) if text else ()
            self._generation = generation
        return self._armed

    def fired(self, number: int) -> bool:
        """Whether a target was struck."""
        return bool(self._read(_FIRED + 8 * number))

    @property
    def all_fired(self) -> bool:
        """Whether all of them were."""
        return all(self.fired(number) for number in range(len(self.armed())))

    @property
    def lost(self) -> bool:
        """Whether the server is to be gone for ever."""
        return any(self.fired(number) and one.strike == "history" for number, one in enumerate(self.armed()))

    @property
    def to_cut(self) -> bool:
        """Whether a role waits for the replica to be cut off."""
        return self._read(_CUT) == _TO_CUT

    def cut_done(self) -> None:
        """Let that role go on."""
        self._write(_CUT, _WAS_CUT)

    def take(self, number: int) -> bool:
        """Count one passage of an armed point; True for the one that is to be struck.

        Waits where the replica is to be cut off first, so that what follows is what gets lost.
        """
        target = self.armed()[number]
        fcntl.flock(self._file, fcntl.LOCK_EX)  # several gateways pass one point; the kernel frees what a dead one held
        count = self._read(_COUNTS + 8 * number) + 1
        self._write(_COUNTS + 8 * number, count)
        fcntl.flock(self._file, fcntl.LOCK_UN)
        if target.strike == "history" and count == target.kept:
            self._write(_CUT, _TO_CUT)
            while self.to_cut:
                time.sleep(_LOOK_S)
        if count != target.nth:
            return False
        self._write(_FIRED + 8 * number, 1)
        return True

    def _read(self, at: int) -> int:
        number: int = struct.unpack_from("<q", self._page, at)[0]
        return number

    def _write(self, at: int, number: int) -> None:
        struct.pack_into("<q", self._page, at, number)


def _born(pid: int) -> int:
    """When a process began, in the kernel's ticks; 0 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0
