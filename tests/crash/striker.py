"""Inside a role process: knows where the process is, writes it down or dies there. Put there by `nursery`."""

import functools
import itertools
import os
import signal
import sys
from pathlib import Path
from types import CodeType, FrameType

from tests.crash.board import Board
from tests.crash.points import Phase, Target

_ROOT = str(Path(__file__).parents[2]) + os.sep
# They lie between every caller and Redis, so they say nothing about where the process is.
_THROUGH = frozenset({"streams/script_loader.py", "streams/scripts.py", "streams/connection.py", "streams/wire.py"})


class Striker:
    """Names every passage of a point and strikes where one is armed."""

    def __init__(self, role: str, folder: Path, *, record: bool) -> None:
        """Join the lane whose folder it is."""
        self.role, self._board = role, Board(folder / "board")
        self._record = -1
        if record:
            name = folder / f"record.{os.getpid()}"
            self._record = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._numbers = itertools.count(1)

    def connection(self) -> int:
        """Number a connection, for the recording."""
        return next(self._numbers)

    def passing(self, call: str, site: str, connection: str = "", size: int = 0) -> Target | None:
        """Pass a point with so many bytes to be sent; the target when this is the passage to strike."""
        self.write(call, site, connection, size)
        for number, target in enumerate(self._board.armed()):
            point = target.point
            if point.call == call and point.site == site and point.role == self.role and self._board.take(number):
                return target
        return None

    def write(self, call: str, site: str, connection: str, size: int = 0) -> None:
        """Write one line of the recording."""
        if self._record >= 0:
            line = "\t".join((self._board.profile, self.role, connection, str(size), call, site))
            os.write(self._record, line.encode() + b"\n")

    def strike(self, target: Target | None, phase: Phase) -> None:
        """Kill whoever is to die, if this is the side of the call; after the server's death we go on."""
        if target is None or target.phase != phase or target.strike == "cut":
            return
        if target.strike == "role":
            os.kill(os.getpid(), signal.SIGKILL)
        self._board.kill_server()


def here() -> str:
    """Name the functions of ours that lead to this call: the role's, and the one of `streams` it goes through."""
    inner, frame = "", sys._getframe(2)
    at: FrameType | None = frame
    while at is not None:
        name, of = _named(at.f_code)
        if of == "consumers":
            return f"{name}>{inner}" if inner else name
        if of == "streams" and not inner:
            inner = name
        at = at.f_back
    return inner or "library"


@functools.cache
def _named(code: CodeType) -> tuple[str, str]:
    """Name a function, and the folder of ours it counts for; looked up at every passage, so once for each function."""
    file = code.co_filename
    path = file[len(_ROOT) :] if file.startswith(_ROOT) else ""
    of = "" if path in _THROUGH else path.partition("/")[0]
    return f"{Path(path).stem}.{code.co_name}", of
