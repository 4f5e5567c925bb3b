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
        known = [secret for secret in secrets if secret]
        # A repr, as exceptions write it, escapes line breaks and quotes. Longest first: one may be part of another.
        forms = {form for secret in known for form in (secret, repr(secret)[1:-1], repr(secret + "'")[1:-2])}
        self._secrets = sorted(forms, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "role": self._role,
            "from": record.name,
            "message": self._blot(record.getMessage()),
        }
        if record.exc_info:
            line["trace"] = self._blot(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()

    def _blot(self, text: str) -> str:
        """Take the secrets out before JSON escapes anything; bytes that are no text are replaced."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text.encode(errors="replace").decode()


def set_up(role: str, level: str, secrets: Iterable[str]) -> None:
    """Send this process's logs to standard error, and quieten the libraries that talk about every request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(role, secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("websockets", "ccxt", "aiohttp", "faststream", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
