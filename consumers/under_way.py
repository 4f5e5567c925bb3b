"""What a gateway has under way: the tasks between claim and settle, by the entry each of them answers for.

Cancels have a room of their own: what takes exposure back waits for no order.
"""

import asyncio
from collections.abc import Iterable, Sequence

from streams.pulse import Pulse
from streams.schemas import CommandKind


class UnderWay:
    """The commands of one gateway that were claimed and are not settled."""

    def __init__(self, most: int, pulse: Pulse) -> None:
        """Bind it; `most` is how many there may be of cancels, and as many of everything else."""
        self._most, self._pulse = most, pulse
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancels: set[str] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def add(self, entries: Sequence[str], command: CommandKind, task: asyncio.Task[None]) -> None:
        """Remember what a task answers for, until it is done."""
        for entry in entries:
            self._tasks[entry] = task
        if command == "cancel":
            self._cancels.update(entries)

        def done(_: asyncio.Task[None]) -> None:
            for entry in entries:
                if self._tasks.get(entry) is task:
                    self.drop(entry)

        task.add_done_callback(done)

    def drop(self, entry: str) -> None:
        """Let go of an entry before its task ends, because it is to be taken up again."""
        self._tasks.pop(entry, None)
        self._cancels.discard(entry)

    def fits(self, commands: Iterable[CommandKind]) -> int:
        """How many of these, from the first, may be claimed now: a claim that waits here eats up its own window."""
        cancels, others, count = len(self._cancels), len(self._tasks) - len(self._cancels), 0
        for command in commands:
            cancels += command == "cancel"
            others += command != "cancel"
            if (cancels if command == "cancel" else others) > self._most:
                break
            count += 1
        return count

    async def one_ended(self, command: CommandKind) -> None:
        """Wait until there may be room for one more of its kind."""
        wanted = command == "cancel"
        tasks = [task for entry, task in self._tasks.items() if (entry in self._cancels) == wanted]
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self._pulse.beat()

    async def all_ended(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
