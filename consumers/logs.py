"""Logs: one JSON object a line on standard error, with nothing in it that signs or opens anything."""

import logging
import sys
from collections.abc import Iterable

import orjson


class JsonLines(logging.Formatter):
    """Formats a record as JSON; known secrets are blotted out wherever they stand."""

    def __init__(self, role: str, secrets: Iterable[str]) -> None:
        """Bind the role's name and the texts that must never appear."""
        super().__init__()
        self._role = role
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "role": self._role,
            "from": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        text = orjson.dumps(line).decode()
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def set_up(role: str, level: str, secrets: Iterable[str]) -> None:
    """Send this process's logs to standard error, and quieten the libraries that talk about every request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(role, secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("websockets", "ccxt", "aiohttp", "faststream", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
