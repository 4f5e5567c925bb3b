"""A lane as a process: volleys come in on standard input, outcomes go out on standard output, a JSON line each."""

import asyncio
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from streams.parent import end_with_parent
from tests.crash.lane import Lane, Outcome
from tests.crash.points import Target


async def work(folder: Path, seed: int) -> None:
    """Say that it is ready, by no outcome; then strike one volley after another until standard input ends."""
    decode = msgspec.json.Decoder(list[Target]).decode
    async with Lane(folder, seed=seed) as lane:
        _tell([])
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            _tell(await lane.strike(*decode(line)))


def _tell(outcomes: Sequence[Outcome]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(outcomes) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """Run `python -m tests.crash.lane_process FOLDER SEED`."""
    end_with_parent()
    try:
        asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
    except BaseException:  # noqa: BLE001 - the runner reads it in the lane's log
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
