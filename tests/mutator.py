"""A seeded mutator of venue payloads: what was cut, mistyped, grown, renamed or nested without end.

The same seed makes the same bytes. Every mutant says what was done to it, so that a failure can be read.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

# Text of JSON that no library writes from a value; it is put where this mark stands.
_MARK = "@@here@@"
_HUGE_TEXT = b'"' + b"x" * (1 << 20) + b'"'
_DEEP = 20_000

FRAGMENTS: tuple[bytes, ...] = (
    b"null", b"true", b"false", b"[]", b"{}", b'""', b'" "', b'"x"', b"0", b"-0", b"-1", b'"-1"', b"1e999", b'"1e999"',
    b"1e-999", b"NaN", b'"NaN"', b"Infinity", b'"Infinity"', b"0x10", b'"0x10"', b"1_000", b'"1_000"', b"9" * 400,
    b'"' + b"9" * 400 + b'"', b'"0.' + b"0" * 60 + b'1"', b"0.1", b"1.0", b"1E+2", b'"1E+2"', b"18446744073709551616",
    b"-9223372036854775809", b'"\\u0000"', b'"\\ud800"', b'"\\u202e"', '"٣"'.encode(), b'"\xff"', b'"NEW_KIND"',
    b'"filled"', b'"FILLED"', b'"BUY"', b'"null"', b"[[[]]]", b'{"e":"executionReport"}', b'"a b"', b'"{x}"', b'"1,5"',
)  # fmt: skip
_RARE: tuple[bytes, ...] = (
    _HUGE_TEXT,
    b"[" * _DEEP,
    b"[" * _DEEP + b"]" * _DEEP,
    b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
)


class Seed(NamedTuple):
    """A payload that decodes, and where its values are."""

    format: str
    raw: bytes
    paths: Sequence[tuple[Any, ...]]


class Mutant(NamedTuple):
    """A payload after `deed`; `cut` says that bytes of its end are missing."""

    format: str
    raw: bytes
    deed: str
    cut: bool


def seed(format: str, raw: bytes) -> Seed:  # noqa: A002 - the word of the streams
    """Find the paths of a payload."""
    return Seed(format, raw, tuple(_paths(orjson.loads(raw), ())))


def mutate(chance: random.Random, seeds: Sequence[Seed]) -> Mutant:
    """Make one mutant of one of the payloads."""
    chosen = chance.choice(seeds)
    deed = chance.choices(_DEEDS, _WEIGHTS)[0]
    raw = deed(chance, chosen)
    return Mutant(chosen.format, raw, deed.__name__.strip("_"), deed is _cut)


def _paths(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    found = [path] if path else []
    for key, inner in inside:
        found += _paths(inner, (*path, key))
    return found


def _cut(chance: random.Random, chosen: Seed) -> bytes:
    whole = chosen.raw.rstrip()
    return whole[: chance.randrange(len(whole))]


def _flip(chance: random.Random, chosen: Seed) -> bytes:
    raw = bytearray(chosen.raw)
    for _ in range(chance.randint(1, 4)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw)


def _replace(chance: random.Random, chosen: Seed) -> bytes:
    return _set(chance, chosen, chance.choice(FRAGMENTS))


def _grow(chance: random.Random, chosen: Seed) -> bytes:
    return _set(chance, chosen, chance.choice(_RARE))


def _set(chance: random.Random, chosen: Seed, fragment: bytes) -> bytes:
    value = orjson.loads(chosen.raw)
    if not chosen.paths:
        return fragment
    holder, key = _holder(value, chance.choice(chosen.paths))
    holder[key] = _MARK
    return orjson.dumps(value).replace(b'"' + _MARK.encode() + b'"', fragment)


def _remove(chance: random.Random, chosen: Seed) -> bytes:
    value = orjson.loads(chosen.raw)
    for path in chance.sample(chosen.paths, min(len(chosen.paths), chance.randint(1, 3))):
        try:
            holder, key = _holder(value, path)
            del holder[key]
        except (KeyError, IndexError, TypeError):
            continue  # it went with what held it
    return orjson.dumps(value)


def _swap(chance: random.Random, chosen: Seed) -> bytes:
    value = orjson.loads(chosen.raw)
    first, second = chance.choice(chosen.paths), chance.choice(chosen.paths)
    if first[: len(second)] == second or second[: len(first)] == first:
        return chosen.raw
    (one, key), (other, name) = _holder(value, first), _holder(value, second)
    one[key], other[name] = other[name], one[key]
    return orjson.dumps(value)


def _add(chance: random.Random, chosen: Seed) -> bytes:
    value = orjson.loads(chosen.raw)
    holder, _ = _holder(value, chance.choice(chosen.paths))
    if isinstance(holder, dict):
        holder[chance.choice(("newField", "Z9", "", "data", "o", "event"))] = _MARK
    return orjson.dumps(value).replace(b'"' + _MARK.encode() + b'"', chance.choice(FRAGMENTS))


def _twice(chance: random.Random, chosen: Seed) -> bytes:
    """Say one key twice, the second time with something else."""
    value = orjson.loads(chosen.raw)
    if not isinstance(value, dict) or not value:
        return chosen.raw
    key = chance.choice(list(value))
    again = orjson.dumps(key) + b":" + chance.choice(FRAGMENTS)
    return orjson.dumps(value)[:-1] + b"," + again + b"}"


def _holder(value: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    for key in path[:-1]:
        value = value[key]
    return value, path[-1]


_DEEDS: tuple[Callable[[random.Random, Seed], bytes], ...] = (
    _replace,
    _cut,
    _flip,
    _remove,
    _swap,
    _add,
    _twice,
    _grow,
)
_WEIGHTS = (40, 15, 10, 12, 8, 8, 6, 1)
