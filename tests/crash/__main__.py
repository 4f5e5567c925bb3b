"""`make crash`: hit every crash point with kill -9 of the role, of the server, and of one whose replica takes over.

Exit code 1 when anything did not hold, when a point could not be hit, or when the time was over before the end.
"""

import argparse
import asyncio
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tests.crash.campaign import Tally, record, run
from tests.crash.lane import Lane
from tests.crash.points import Strike, Target, plan, sample
from tests.crash.power_loss import cuts, offsets, prepare

# The power cuts come after them, so that a whole run stays within half an hour.
MINUTES = 25
CUTS_ANYWHERE = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print what came of it."""
    options = _options(arguments)
    folder = Path(tempfile.mkdtemp(prefix="fillonce-crash-"))
    began = time.monotonic()
    _say(f"recording the crash points (logs in {folder})")
    passes = asyncio.run(record(folder / "recording", options.seed))
    _say(f"{len(passes)} points in {time.monotonic() - began:.0f} s")
    if options.list:
        for point in sorted(passes):
            _say(f"{point}  {dict(passes[point])}")
    targets = [
        one
        for one in plan(passes, options.seed)
        if options.only in ("", one.point.role) and options.strike in ("", one.strike)
    ]
    # Mixed, so that the time that is left is told from all kinds, and a run that ends early tried all kinds.
    targets = sample(targets, options.points or len(targets), options.seed)
    tally = asyncio.run(
        run(
            targets, folder, seed=options.seed, lanes=options.lanes, until=began + options.minutes * 60,
            show=lambda now: _progress(now, time.monotonic() - began),
        )
    )  # fmt: skip
    torn = [] if options.points else asyncio.run(_power(folder, options.seed))
    good = _report(tally, targets, time.monotonic() - began) and not torn
    if good:
        shutil.rmtree(folder)
    return 0 if good else 1


async def _power(folder: Path, seed: int) -> list[str]:
    """Cut the append-only file at every byte after the last confirmed reply, and at many places before it."""
    place = folder / "power"
    (place / "lane").mkdir(parents=True)
    async with Lane(place / "lane", seed=seed) as lane:
        loss = await prepare(lane, place / "kept")
    places = offsets(loss, anywhere=CUTS_ANYWHERE, seed=seed)
    said = await cuts(loss, places, place, lambda done: _say(f"cut {done}/{len(places)}") if done % 200 == 0 else None)
    _say(f"power lost at {len(places)} bytes, {len(said)} violations")
    for line in said:
        _say(f"  VIOLATION {line}")
    return said


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--only", default="", choices=("", "gateway", "ledger", "listener", "resolver"))
    parser.add_argument("--strike", default="", choices=("", *get_args(Strike)))
    parser.add_argument("--seed", type=int, default=1, help="of later occurrences and of the venue's faults")
    parser.add_argument("--points", type=int, default=0, help="so many deaths, chosen by the seed; 0 is all")
    parser.add_argument("--lanes", type=int, default=8, help="deployments side by side; they wait more than they work")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no further death is begun after them")
    parser.add_argument("--list", action="store_true", help="print every point")
    return parser.parse_args(arguments)


def _progress(tally: Tally, seconds: float) -> None:
    done, last = len(tally.outcomes), tally.outcomes[-1]
    eta = seconds / done * (tally.wanted - done)
    _say(
        f"{done}/{tally.wanted}  {seconds:.0f} s, about {eta:.0f} s left  {len(tally.violations)} violations, "
        f"{len(tally.missed)} missed  {last.seconds:.1f} s{'' if last.fired else ' MISSED'}  {last.target}"
    )
    for line in last.trouble:
        _say(f"  VIOLATION {line}")


def _report(tally: Tally, targets: Sequence[Target], seconds: float) -> bool:
    points = {one.target.point for one in tally.outcomes if one.fired}
    for point in sorted({target.point for target in targets} - points):
        _say(f"never reached: {point}")
    equal = sum(one.fired and not one.trouble for one in tally.outcomes)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    kills = Counter(one.target.strike for one in tally.outcomes if one.fired)
    for one in tally.missed:
        _say(f"missed: {one.target}")
    for one in tally.violations:
        _say(f"violated: {one.target}")
    _say(
        f"{len(points)} points x {kills.total() / max(1, len(points)):.1f} deaths = {kills.total()} "
        f"({kills['role']} kills of a role, {kills['server']} of the server, {kills['history']} failovers, "
        f"{kills['cut']} lost answers), "
        f"{len(tally.violations)} violations, {equal} times equal hashes, {len(tally.missed)} missed, "
        f"{tally.left} of {len(targets)} not tried, "
        f"{seconds:.0f} s, {usage.ru_utime + usage.ru_stime:.0f} s of a core"
    )
    return not tally.violations and not tally.missed and not tally.left


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _say("interrupted; what was tried so far stands above")
        sys.exit(130)
