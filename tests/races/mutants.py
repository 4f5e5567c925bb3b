"""Rules switched off, one at a time: broken variants of scripts and functions that only a test can put in place."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from adapters.binance import requests
from adapters.venue import VenueFacts, Window
from consumers import lookup, resolver
from streams import codec, lifecycle, script_loader
from streams.scripts import Scripts

Mutation = Callable[[pytest.MonkeyPatch], None]

HISTORY = "if known[1] ~= server_history() then return refuse_history(), true end"


def script(name: str, old: str, new: str) -> Mutation:
    """Make a mutation of a script: its text with `old` replaced wherever it stands; the files stay as they are."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        real = script_loader.load
        source = real(name)
        assert old in source.text, f"{name} does not have: {old}"
        text = source.text.replace(old, new)
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        broken = script_loader.Source(name, text, sha)
        monkeypatch.setattr(script_loader, "load", lambda asked: broken if asked == name else real(asked))

    return apply


def several(*mutations: Mutation) -> Mutation:
    """Apply more than one."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        for one in mutations:
            one(monkeypatch)

    return apply


def sign_with_a_fresh_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: what an exchange library does by itself, a timestamp made at signing, with the venue's usual window."""

    def within(window: Window, offset_ms: int) -> dict[str, str]:
        del window
        import time

        return {"timestamp": str(time.time_ns() // 1_000_000 + offset_ms), "recvWindow": "5000"}

    monkeypatch.setattr(requests, "within", within)


def absence_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """R2: a look-up that finds nothing proves absence whenever it began."""

    def horizon_ms(send_by_ms: int, facts: VenueFacts) -> int:
        del send_by_ms, facts
        return 0

    monkeypatch.setattr(lookup, "horizon_ms", horizon_ms)
    monkeypatch.setattr(resolver, "horizon_ms", horizon_ms)


def any_token_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3: an answer closes whatever claim the order has now."""
    real = lifecycle._close

    def close(order: Any, command: Any, again: Any) -> Any:
        return real(order, msgspec.structs.replace(command, token=order.token), again)

    monkeypatch.setattr(lifecycle, "_close", close)


def import_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """R6: the gate opens without records of what the venue lists."""

    async def import_orders(self: Scripts, items: list[Any], *why: str) -> list[str]:
        del self, why
        return ["known"] * len(items)

    monkeypatch.setattr(Scripts, "import_orders", import_orders)


def sweep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """R8: nobody looks after what waits."""

    async def sweep(self: Scripts, *anything: object) -> tuple[int, list[Any]]:
        del self, anything
        return 0, []

    monkeypatch.setattr(Scripts, "sweep", sweep)


def count_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """R9: a counter instead of a digest."""

    def chain(previous: str, *state: str) -> str:
        del state
        return str((int(previous) if previous.isdecimal() and len(previous) < 9 else 0) + 1)

    monkeypatch.setattr(codec, "chain", chain)


def one_digest_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """R9: the digest says nothing at all about the state."""

    def chain(previous: str, *state: str) -> str:
        del state
        return "b" if previous == "a" else "a"

    monkeypatch.setattr(codec, "chain", chain)
