"""A whole crash run: record the points, hand the targets to lanes that work side by side, count what came of it."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.crash.lane import Lane, Outcome
from tests.crash.nursery import ROOT
from tests.crash.points import Passes, Target, tries, volleys

_outcomes = msgspec.json.Decoder(list[Outcome])
LINE_BYTES_MAX = 1 << 22  # outcomes with all their details
LANE_TRIES = 3


class Tally(Struct):
    """What a run did so far.

    Attributes:
        wanted: deaths to be tried.
        outcomes: what came of those that were.
        left: targets that no time was left for, or whose lane broke.
    """

    wanted: int
    outcomes: list[Outcome] = []
    left: int = 0

    @property
    def violations(self) -> list[Outcome]:
        """Strikes after which something did not hold."""
        return [one for one in self.outcomes if one.trouble]

    @property
    def missed(self) -> list[Outcome]:
        """Targets whose point was not passed often enough."""
        return [one for one in self.outcomes if not one.fired]


async def record(folder: Path, seed: int) -> Passes:
    """Pass every point once and give how often each scenario passes it."""
    await asyncio.to_thread(folder.mkdir)
    async with Lane(folder, seed=seed, record=True) as lane:
        passes = await lane.record()
        trouble = await lane.trouble()
        assert not trouble, trouble
        return passes


async def run(
    targets: Sequence[Target], folder: Path, *, seed: int, lanes: int, until: float, show: Callable[[Tally], None]
) -> Tally:
    """Strike every target.

    Args:
        targets: what to try; a target that is missed is tried again at the end.
        folder: one subfolder with a log per lane.
        seed: of the venues' faults.
        lanes: how many work side by side.
        until: monotonic time after which no further target is begun.
        show: told after each outcome.
    """
    waiting, tally = _Waiting(targets), Tally(wanted=len(targets))
    left: dict[Target, list[Target]] = {}  # target -> how it is still to be tried if it is missed once more
    starting = asyncio.Lock()

    async def lane(number: int) -> None:
        for place in (folder / f"lane{number}.{attempt}" for attempt in range(LANE_TRIES)):
            place.mkdir()
            if await work(place, seed + number):
                return

    async def work(place: Path, seed: int) -> bool:
        """Strike until nothing is left; False when the lane broke, and what it was at is tried again elsewhere."""
        with (place / "log").open("wb") as log:
            async with starting:  # one after another: together, none of them would start in time
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.crash.lane_process", str(place), str(seed), cwd=ROOT,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=LINE_BYTES_MAX,
                )  # fmt: skip
                assert process.stdin is not None
                assert process.stdout is not None
                ready = await process.stdout.readline()
            while ready and waiting.count and time.monotonic() < until:
                volley = waiting.take()
                process.stdin.write(msgspec.json.encode(volley) + b"\n")
                ready = await process.stdout.readline()
                if not ready:
                    waiting.volleys.append(volley)
                for outcome in _outcomes.decode(ready or b"[]"):
                    others = left.pop(outcome.target, list(tries(outcome.target)))
                    if others and not (outcome.fired or outcome.trouble):
                        left[others[0]] = others[1:]
                        waiting.missed.append(others[0])
                        continue
                    tally.outcomes.append(outcome)
                    show(tally)
            process.stdin.close()
            await process.wait()
        return bool(ready)

    await asyncio.gather(*(lane(number) for number in range(lanes)))
    tally.left += waiting.count
    return tally


class _Waiting:
    """What is still to be tried: volleys, and behind them what was missed, put together once more.

    Attributes:
        volleys: as they are handed out.
        missed: targets of which none is in them.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self.volleys, self.missed = deque(volleys(targets)), list[Target]()

    @property
    def count(self) -> int:
        """How many targets there are."""
        return sum(map(len, self.volleys)) + len(self.missed)

    def take(self) -> list[Target]:
        """Take a volley."""
        if not self.volleys:
            self.volleys.extend(volleys(self.missed))
            self.missed.clear()
        return self.volleys.popleft()
