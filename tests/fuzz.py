"""Mutants of real payloads through everything that reads bytes: `python -m tests.fuzz [--count N] [--seed S]`.

No exception escapes, what was cut is refused whole, and what is made of a mutant is a legal fact.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, get_args

from adapters import registry
from adapters.binance.codes import CANCEL, PLACE
from adapters.binance.dialogue import BinanceDialogue
from adapters.binance.ws_api import BinanceSpeech
from adapters.binance_usdm import codes as usdm
from adapters.classify import Response, classify
from adapters.credentials import Credentials
from streams.errors import BadPayload
from streams.money import plain, text
from streams.schemas import Adjustment, Execution, Fact, Ignored, OrderReport, Side, VenueStatus
from tests.mutator import Mutant, Seed, mutate, seed

PAYLOADS = Path(__file__).parents[2] / "shared" / "payloads"
# Folders with the payloads of each venue, and which files of them are its own.
FOLDERS = ("jkorf/binance", "go-binance/binance", "ccxt_comments/binance")
COUNT = 200_000
_NOBODY = Credentials("key", "secret")
_SIGNS_MAX = 128


class Target(NamedTuple):
    """What is fed with mutants."""

    venue: str
    seeds: Sequence[Seed]
    feed: Callable[[Mutant], str]


def targets() -> list[Target]:
    """Every venue of ours with its payloads; empty where the payloads are not there."""
    if not PAYLOADS.is_dir():
        return []
    seeds = {name: _seeds(name) for name in registry.names()}
    return [Target(name, found, _feeder(name)) for name, found in seeds.items() if found]


def run(target: Target, count: int, number: int) -> Counter[str]:
    """Feed `count` mutants; what became of them.

    Raises:
        AssertionError: one of them did what it must not; the sentence names how to make it again.
    """
    seen: Counter[str] = Counter()
    for index in range(count):
        # Seeded by number, so that one mutant can be made again without the others.
        mutant = mutate(random.Random(f"{target.venue}:{number}:{index}"), target.seeds)
        try:
            seen[target.feed(mutant)] += 1
        except Exception as error:
            shown = mutant.raw[:2_000]
            sentence = f"{target.venue} seed {number} mutant {index} ({mutant.deed}, {mutant.format}): {shown!r}"
            raise AssertionError(sentence) from error
    return seen


def _seeds(venue: str) -> list[Seed]:
    plug = registry.plug(venue)
    found: list[Seed] = []
    for path in sorted(path for folder in FOLDERS for path in (PAYLOADS / folder).rglob("*") if path.is_file()):
        for one in plug.sniff(path.read_bytes()):
            try:
                plug.decode(one.format, one.raw)
                found.append(seed(one.format, one.raw))
            except (BadPayload, ValueError):
                continue  # nothing of ours, or a body with remarks in it
    return found


def _feeder(venue: str) -> Callable[[Mutant], str]:
    plug = registry.plug(venue)
    dialogue = BinanceDialogue("", _NOBODY, lambda: 0)
    speech = BinanceSpeech("", _NOBODY)

    def feed(mutant: Mutant) -> str:
        plug.sniff(mutant.raw)
        dialogue.hear(mutant.raw)
        speech.hear(mutant.raw)
        for table in (PLACE, CANCEL, usdm.PLACE, usdm.CANCEL):
            for status in (200, 400):
                classify(table, Response(status, {}, mutant.raw), "fo-1")
        for read in (plug.describe, plug.holdings):
            with suppress(BadPayload):
                read(mutant.format, mutant.raw)
        try:
            facts = plug.decode(mutant.format, mutant.raw)
        except BadPayload:
            return "refused"
        assert not mutant.cut, "bytes of its end are missing, and facts were made of the rest"
        for fact in facts:
            check(fact)
        return "ignored" if all(isinstance(fact, Ignored) for fact in facts) else "read"

    return feed


def check(fact: Fact) -> None:
    """Hold a fact to what the ledger takes for granted."""
    match fact:
        case Execution():
            _word(fact.trade_id, fact.venue_order_id, fact.venue_symbol)
            assert fact.side in get_args(Side)
            _amount(fact.quantity, above=Decimal(0))
            _amount(fact.price, above=Decimal(0))
            if fact.fee is not None:
                _amount(fact.fee)
            _moment(fact.executed_at_ms)
            assert fact.maker is None or isinstance(fact.maker, bool)
        case OrderReport():
            _word(fact.venue_order_id, fact.venue_symbol)
            assert fact.status in get_args(VenueStatus)
            _amount(fact.filled)
            assert fact.filled >= 0
            _moment(fact.reported_at_ms)
            assert fact.client_order_id is None or 0 < len(fact.client_order_id) <= _SIGNS_MAX
        case Adjustment() | Ignored():
            pass
        case _:
            raise AssertionError(f"a fact of an unknown kind: {fact!r}")


def _word(*words: str) -> None:
    for word in words:
        assert isinstance(word, str)
        assert 0 < len(word) <= _SIGNS_MAX
        assert not any(sign.isspace() or sign in "{}:" for sign in word)


def _amount(value: Decimal, above: Decimal | None = None) -> None:
    assert isinstance(value, Decimal)
    assert value.is_finite()
    assert value.as_tuple() == plain(value).as_tuple()  # equal amounts have one form
    assert "E" not in text(value)
    assert above is None or value > above


def _moment(value: int) -> None:
    assert isinstance(value, int)
    assert 0 <= value <= 4_102_444_800_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all targets and say what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Mutants of real venue payloads.")
    parser.add_argument("--count", type=int, default=COUNT, help="mutants a venue")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other mutants")
    given = parser.parse_args(arguments)
    found = targets()
    if not found:
        sys.stdout.write("There are no payloads to start from; put them beside the project, in ../shared/payloads.\n")
        return 2
    for target in found:
        began = time.monotonic()
        seen = run(target, given.count, given.seed)
        told = ", ".join(f"{number} {what}" for what, number in sorted(seen.items()))
        took_s = time.monotonic() - began
        sys.stdout.write(
            f"{target.venue}: {given.count} mutants of {len(target.seeds)} payloads in {took_s:.0f} s: {told}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
