"""Intents out of a file: one a line, or one JSON array or object. Pure but for reading the file.

Each intent keeps the bytes it was written in, because a number must not become a float on its way to the check.
"""

import sys
from pathlib import Path
from typing import Final

import msgspec

from streams.codec import decode_intent
from streams.errors import BadIntent, UsageError
from streams.schemas import Intent

FILE_BYTES_MAX: Final = 64 * 1024 * 1024

_list = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder(msgspec.Raw)


def read_file(name: str) -> bytes:
    """Read a file, or standard input for `-`.

    Raises:
        UsageError: it cannot be read or is too large.
    """
    try:
        if name == "-":
            data = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"Cannot read {name}: {error.strerror}.") from None
    if len(data) > FILE_BYTES_MAX:
        raise UsageError(f"{name} has more than {FILE_BYTES_MAX // 1024 // 1024} MiB; split it.")
    return data


def split(data: bytes) -> list[bytes]:
    """Take a document apart into the bytes of its intents; what is not JSON stays one line, to be refused by name."""
    body = data.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        if body[:1] == b"[":
            return [bytes(one) for one in _list.decode(body)]
        _any.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [line.strip() for line in body.splitlines() if line.strip()]
    return [body] if body else []


def decode(data: bytes) -> list[Intent | BadIntent]:
    """Decode every intent of a document; one that cannot be used is its own error."""
    return [_decoded(one) for one in split(data)]


def _decoded(data: bytes) -> Intent | BadIntent:
    try:
        return decode_intent(data)
    except BadIntent as error:
        return error
