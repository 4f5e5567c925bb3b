"""A scraper: asks an endpoint as another program does, and reads the text format."""

import asyncio
import contextlib
import http.client
import socket

from prometheus_client.parser import text_string_to_metric_families


class _Unix(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def fetch(address: str, path: str) -> tuple[int, str]:
    """Status and body; the address as a role's beat has it."""
    kind, _, where = address.partition(":")
    connection = _Unix(where) if kind == "unix" else http.client.HTTPConnection(where.removeprefix("//"))
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


async def ask(address: str, path: str) -> tuple[int, str]:
    """The same from another thread, for an endpoint on this loop."""
    return await asyncio.to_thread(fetch, address, path)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """What a scraper reads: name and label values."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            # Account and role first, as they are written here.
            labels = sorted(one.labels.items(), key=lambda label: (label[0] not in {"account", "role"}, label[0]))
            key = (one.name, *(value for _, value in labels))
            assert key not in found
            found[key] = one.value
    return found
