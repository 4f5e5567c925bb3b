"""Telling people that a rule fired: a log line always, a webhook and a command where the settings name them."""

import asyncio
import logging

import aiohttp
import msgspec

from consumers.watching import Firing
from streams.rules import Rules

log = logging.getLogger("fillonce.rules")

# Whoever is told must not hold up what is done about it.
WEBHOOK_S, COMMAND_S = 5.0, 10.0


class Alarm:
    """Tells of what fired; what cannot be told is logged, and nothing is raised.

    Attributes:
        told: since the start, to log, webhook and command together.
        failed: webhooks and commands that did not take it.
    """

    def __init__(self, rules: Rules) -> None:
        """Bind it."""
        self.told = self.failed = 0
        self._rules = rules

    async def tell(self, firing: Firing) -> None:
        """Tell of one."""
        log.warning("%s: %s: %s", firing.account, firing.sentence, firing.action)
        self.told += 1
        document = msgspec.json.encode({**msgspec.structs.asdict(firing), "sentence": firing.sentence})
        await asyncio.gather(self._post(document), self._run(document))

    async def _post(self, document: bytes) -> None:
        if not self._rules.webhook:
            return
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WEBHOOK_S)) as session,
                session.post(
                    self._rules.webhook, data=document, headers={"Content-Type": "application/json"}
                ) as answer,
            ):
                self._count("webhook", f"HTTP {answer.status}" if answer.status >= 400 else "")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._count("webhook", type(error).__name__)  # its address may hold a secret

    async def _run(self, document: bytes) -> None:
        if not self._rules.command:
            return
        try:
            process = await asyncio.create_subprocess_exec(
                *self._rules.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            self._count("command", error.strerror or type(error).__name__)
            return
        try:
            async with asyncio.timeout(COMMAND_S):
                await process.communicate(document)
            self._count("command", f"exit code {process.returncode}" if process.returncode else "")
        except TimeoutError:
            process.kill()
            await process.wait()
            self._count("command", f"no end within {COMMAND_S:g} s")

    def _count(self, what: str, trouble: str) -> None:
        self.told += not trouble
        if trouble:
            self.failed += 1
            log.error("the %s was not told: %s", what, trouble)
