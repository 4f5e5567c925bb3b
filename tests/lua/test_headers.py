"""Specification of lua/: a script's header, its body and its caller in Python say the same thing.

These checks read text. They are as strict as text allows: what a script does on a server is in
tests/streams/test_scripts.py.
"""

import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec import Struct

import lua
from streams import events, script_loader
from streams.keys import AccountKeys
from streams.plans import (
    AdjustPlan,
    ClaimItem,
    CommitPlan,
    ImportItem,
    Mapping,
    OrderPlan,
    ParkPlan,
    PositionPlan,
    PublishItem,
    SettleItem,
)
from streams.record import FIELDS
from streams.schemas import Cancel, Order, OrderState
from streams.scripts import Scripts
from tests import flow

ROOT = Path(next(iter(lua.__path__)))
NAMES = sorted(file.stem for file in ROOT.glob("*.lua"))
INCLUDES = sorted(file.stem for file in (ROOT / "include").glob("*.lua"))

READS = {
    "EXISTS", "GET", "HEXISTS", "HGET", "HKEYS", "HLEN", "HMGET", "SISMEMBER", "XINFO", "XPENDING", "XRANGE",
    "XREVRANGE", "ZSCORE",
}  # fmt: skip
WRITES = {"DEL", "EXPIRE", "HDEL", "HSET", "HSETNX", "SADD", "SET", "XACK", "XADD", "ZADD", "ZREM"}
KEYLESS = {"INFO", "TIME"}
CHECKS = (
    "history_changed(", "history ~= server_history()", " refusal(", "renew_lease(", "refuse_history(", "refuse_lease(",
    "'ledger_epoch'",
)  # fmt: skip
# The gate sets the history that others compare; a halt and a lost stream must hold whatever became of the server; what
# the venue counts has no history.
WITHOUT_HISTORY = {"gate", "halt", "stream", "rate"}
# How a script may name what it was given: by number, from a number on, all of it.
FORMS = (
    r"\b{0}\[\d+(?: \+ [\w.]+)*\]|unpack\({0}(?:, 1, \d+)?\)|\(\w[\w.]*, {0}, \d+, \w+\)"
    r"|for number = \d+, #{0} do [^\n]*{0}\[number\]"
)
# Fields of records and of control that hold times and counters; nothing else is ever made a number.
NUMBERS = {"send_by", "valid_until", "cancel_by", "ledger_epoch", "ledger_until", "stream_until", "revision"}
# The two halves of a stream id and of TIME.
PARTS = {"time", "sequence", "time[1]", "time[2]", "due", "since"}


class Script(Struct, frozen=True):
    """One file: contract, own code, code with includes in place, and its parts."""

    name: str
    header: str
    own: str
    whole: str
    functions: dict[str, tuple[tuple[str, ...], str]]
    main: str


@cache
def script(name: str) -> Script:
    """Read one script."""
    text = (ROOT / f"{name}.lua").read_text()
    header, _, own = text.removeprefix("--[[").partition("]]")
    own = bare(own)
    whole = bare(re.sub(r"^--@include (\w+)$", lambda found: include(found[1]), text, flags=re.MULTILINE))
    functions, main = split(whole)
    return Script(name, header, own, whole, functions, main)


@cache
def include(name: str) -> str:
    """Read one include."""
    return (ROOT / "include" / f"{name}.lua").read_text()


def included(name: str) -> list[str]:
    """The includes a script asks for."""
    return re.findall(r"^--@include (\w+)$", (ROOT / f"{name}.lua").read_text(), flags=re.MULTILINE)


def bare(text: str) -> str:
    """Code without comments, one line a statement: continued lines are joined."""
    text = re.sub(r"--\[\[.*?\]\]", "", text, flags=re.DOTALL)
    text = "\n".join(re.sub(r"\s*--.*$", "", one) for one in text.splitlines())
    return re.sub(r"(\.\.|,)\n\s+", r"\1 ", text)


def split(text: str) -> tuple[dict[str, tuple[tuple[str, ...], str]], str]:
    """Take the functions at the first column out of the code; the rest is what runs by itself."""
    functions: dict[str, tuple[tuple[str, ...], str]] = {}
    pattern = re.compile(r"^local function (\w+)\(([^)]*)\)(?:([^\n]*) end$|\n(.*?)^end$)", re.MULTILINE | re.DOTALL)
    for found in pattern.finditer(text):
        params = tuple(one.strip() for one in found[2].split(",") if one.strip())
        functions[found[1]] = (params, found[3] or found[4])
    return functions, pattern.sub("", text)


def arguments(text: str, at: int) -> list[str]:
    """The arguments of a call whose opening parenthesis stands before `at`."""
    depth, quoted, start, found = 0, False, at, []
    for place in range(at, len(text)):
        sign = text[place]
        if sign == "'":
            quoted = not quoted
        elif not quoted and sign in "([{":
            depth += 1
        elif not quoted and (sign in "}]" or (sign == ")" and depth)):
            depth -= 1
        elif not quoted and (sign == ")" or (sign == "," and not depth)):
            found.append(text[start:place].strip())
            start = place + 1
            if sign == ")":
                return [one for one in found if one]
    raise AssertionError(f"a call without an end: {text[at : at + 60]}")


def calls(text: str, name: str) -> Iterator[list[str]]:
    """The arguments of every call of a function."""
    for found in re.finditer(rf"(?<![\w.]){re.escape(name)}\(", text):
        yield arguments(text, found.end())


def commands(text: str) -> Iterator[list[str]]:
    """Every redis.call: the command and its arguments."""
    for name, *rest in calls(text, "redis.call"):
        assert re.fullmatch(r"'[A-Z]+'", name), f"a command that is computed: {name}"
        yield [name.strip("'"), *rest]


def documented(name: str, word: str) -> tuple[set[int], set[int]]:
    """Numbers of KEYS or ARGV in the header: single ones, and those from which on there are more."""
    rows = re.findall(rf"^{word}\[(\d+)(\+?)\]  +\S", script(name).header, flags=re.MULTILINE)
    return {int(at) for at, more in rows if not more}, {int(at) for at, more in rows if more}


def test_there_is_something_to_check() -> None:
    """Every script is loaded by its name, and every name has a script."""
    assert len(NAMES) >= 9
    assert sorted(script_loader.NAMES) == NAMES
    assert len(set(script_loader.NAMES)) == len(script_loader.NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_opens_with_its_contract(name: str) -> None:
    """What it does in one sentence, then KEYS, ARGV and Returns, in this order, numbered without a gap."""
    assert (ROOT / f"{name}.lua").read_text().startswith("--[[\n")
    header = script(name).header.strip()
    sentence, _, rest = header.partition("\n\n")
    assert sentence.endswith(".")
    places = [re.search(pattern, rest, flags=re.MULTILINE) for pattern in (r"^KEYS\[1", r"^ARGV\[1\]", r"^Returns")]
    starts = [found.start() for found in places if found]
    assert len(starts) == 3
    assert starts == sorted(starts)
    for word in ("KEYS", "ARGV"):
        single, more = documented(name, word)
        numbers = sorted(single | more)
        assert numbers == list(range(1, len(numbers) + 1))
        assert more <= {numbers[-1]}


@pytest.mark.parametrize("name", NAMES)
def test_every_key_and_argument_is_documented_and_used(name: str) -> None:
    """Both ways: nothing is read that the contract does not name, nothing is named that is not read."""
    for word in ("KEYS", "ARGV"):
        single, more = documented(name, word)
        text = script(name).whole
        used = {int(at) for at in re.findall(rf"\b{word}\[(\d+)\]", text)}
        from_on = {int(at) + 1 for at in re.findall(rf"\b{word}\[(\d+)(?: \+ [\w.]+)+\]", text)}
        from_on |= {int(at) for at in re.findall(rf", {word}, (\d+), \w+\)|", text) if at}
        from_on |= {int(at) for at in re.findall(rf"for number = (\d+), #{word} do", text)}
        for names in re.findall(rf"^local ([\w, ]+) = unpack\({word}\b", text, flags=re.MULTILINE):
            used |= set(range(1, len(names.split(",")) + 1))
        assert (used, from_on) == (single, more)
        # Each mention has one of the forms that were counted.
        mentions = sum(len(re.findall(rf"\b{word}\b", form)) for form in re.findall(FORMS.format(word), text))
        assert mentions == len(re.findall(rf"\b{word}\b", text))


@pytest.mark.parametrize("name", NAMES)
def test_every_local_of_the_contract_is_used(name: str) -> None:
    """A key that is bound and never touched is a key too many."""
    for names in re.findall(r"^local ([\w, ]+) = .*(?:KEYS|ARGV)", script(name).own, flags=re.MULTILINE):
        for one in names.split(","):
            assert len(re.findall(rf"\b{one.strip()}\b", script(name).own)) > 1, one


@pytest.mark.parametrize("name", NAMES)
def test_the_errors_of_the_contract_are_those_of_the_body(name: str) -> None:
    """What a caller has to expect is written where it looks."""
    found = re.search(r"^Errors +(.*)$", script(name).header, flags=re.MULTILINE)
    told = set(found[1].split(", ")) if found else set()
    if name == "publish":
        told.add("HISTORY_CHANGED")  # takes an intent all the same, and marks it
    words = {
        "refuse_history(": {"HISTORY_CHANGED"}, "refuse_lease(": {"LEASE_LOST"}, "refuse_months(": {"SPENT_CHANGED"},
        " refusal(": {"HISTORY_CHANGED", "GATE_MOVED", "SPENT_CHANGED"},
    }  # fmt: skip
    assert told == {word for call, errors in words.items() if call in script(name).own for word in errors}


@pytest.mark.parametrize("name", NAMES)
def test_includes_exist_and_are_used(name: str) -> None:
    """Each include gives the script at least one function that its own code calls."""
    assert len(set(included(name))) == len(included(name))
    for one in included(name):
        defined, _ = split(bare(include(one)))
        assert any(f"{function}(" in script(name).own for function in defined), one


def test_no_include_is_left_over() -> None:
    """Every file of lua/include belongs to a script."""
    assert {one for name in NAMES for one in included(name)} == set(INCLUDES)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_a_known_one(name: str) -> None:
    """A new command is put among the reads or the writes before the other checks mean anything."""
    assert {command for command, *_ in commands(script(name).whole)} <= READS | WRITES | KEYLESS


class Keys:
    """Which expressions of a script are keys it was given."""

    def __init__(self, of: Script) -> None:
        self.of = of
        self.params = {name: set(params) for name, (params, _) in of.functions.items()}
        while self._drop():
            pass

    def scope(self, function: str) -> tuple[str, set[str]]:
        """A function's code (or the main code, under the empty name), and the names that are keys in it."""
        code = self.of.functions[function][1] if function else self.of.main
        outer = self._bound(self.of.main, set())
        return code, self._bound(code, outer | self.params.get(function, set()))

    def is_key(self, expression: str, names: set[str]) -> bool:
        """Whether an expression is a key that came from KEYS."""
        if expression in names or re.fullmatch(r"KEYS(\[[\w.+ ]+\])?", expression):
            return True
        part = re.fullmatch(r"(\w+)\[number\]", expression)
        if part and part[1] in names and part[1] == "keys":  # a list of keys that was handed over as a whole
            return True
        called = re.fullmatch(r"(\w+)\(.*\)", expression)
        made = self.of.functions.get(called[1]) if called else None
        return made is not None and re.fullmatch(r"\s*return KEYS\[\d+ \+ \w+\]\s*", made[1]) is not None

    def _bound(self, code: str, names: set[str]) -> set[str]:
        for left, right in re.findall(r"\blocal ([\w, ]+) = ([^\n]+)", code):
            targets = [one.strip() for one in left.split(",")]
            values = arguments(right + ")", 0)
            if values[0].startswith("unpack(KEYS"):
                names = names | set(targets)
            for target, value in zip(targets, values, strict=False):
                names = names | {target} if self.is_key(value, names) else names
        return names

    def _drop(self) -> bool:
        """Drop the parameters that some call gives something else; whether there was one."""
        for function, (params, _) in self.of.functions.items():
            for caller in ("", *self.of.functions):
                code, names = self.scope(caller)
                for given in calls(code, function):
                    wrong = {
                        param
                        for param, value in zip(params, given, strict=False)
                        if param in self.params[function] and not self.is_key(value, names)
                    }
                    if wrong:
                        self.params[function] -= wrong
                        return True
        return False


@pytest.mark.parametrize("name", NAMES)
def test_every_key_a_script_touches_was_given_to_it(name: str) -> None:
    """No key is composed in Lua: a cluster could not know its slot, and keys are made in one place."""
    found = Keys(script(name))
    touched = 0
    for function in ("", *found.of.functions):
        code, names = found.scope(function)
        for command, *rest in commands(code):
            if command in KEYLESS:
                continue
            key = rest[1] if command == "XINFO" else rest[0]
            assert found.is_key(key, names), f"{command} {key} in {function or 'the main code'}"
            touched += 1
    assert touched
    assert "fillonce" not in script(name).whole


@pytest.mark.parametrize("name", NAMES)
def test_no_amount_becomes_a_number_and_no_state_is_decoded(name: str) -> None:
    """Invariant 10: only times, counters and ids are calculated with."""
    code = script(name)
    for word in ("cjson", "struct", "bit", "loadstring", "price", "quantity", "filled", "cost", "notional"):
        assert not re.search(rf"\b{word}\b", code.whole.replace("'filled'", "")), word
    for function in ("", *code.functions):
        text = code.functions[function][1] if function else code.main
        fields = dict(re.findall(r"local (\w+) = redis\.call\('HMGET', ([^\n]+)\)", text))
        for given in calls(text, "tonumber"):
            argument = re.sub(r" or '0'$", "", given[0])
            if argument == "redis.call('HGET', hash, 'revision')":
                continue  # a counter
            if given == ["pair", "16"] or argument.startswith("redis.call('ZSCORE', "):
                continue  # two digits of a digest, and a score: scores are times
            assert argument in PARTS or is_time(name, argument, fields), given


def is_time(name: str, argument: str, fields: dict[str, str]) -> bool:
    """Whether an argument of tonumber is a time or a limit by the contract, or a numeric field of a record."""
    if found := re.fullmatch(r"ARGV\[(\d+)\]", argument):
        row = re.search(rf"^ARGV\[{found[1]}\] +(.*(?:\n +.*)*)", script(name).header, flags=re.MULTILINE)
        return row is not None and re.search(r"\bms\b|^most |^shortest ", row[1]) is not None
    if found := re.fullmatch(r"(\w+)\[(\d+)\]", argument):
        names = re.findall(r"'(\w+)'", fields.get(found[1], ""))
        return bool(names) and names[int(found[2]) - 1] in NUMBERS
    # A parameter: every caller hands over a field that is one.
    sources = re.findall(r"known\[(\d+)\]", script(name).whole)
    return argument in NUMBERS and bool(sources)


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_HISTORY))
def test_the_history_is_checked_before_the_first_write(name: str) -> None:
    """R5: in the order of the text, no write and no function that writes comes before the last check.

    A script error does not roll back, so what is refused must be refused before anything was written. Renewing
    the lease counts as a check; it writes the lease's own end and nothing else.
    """
    code = script(name)
    writing = {"redis.call"}
    while grown := {
        function
        for function, (_, text) in code.functions.items()
        if function not in writing | {"renew_lease"} and writes(text, writing)
    }:
        writing |= grown
    checks = [code.main.find(check) for check in CHECKS if check in code.main]
    first = min(
        (found.start() for function in writing for found in re.finditer(rf"\b{re.escape(function)}\(", code.main)
         if function != "redis.call" or arguments(code.main, found.end())[0].strip("'") in WRITES),
        default=-1,
    )  # fmt: skip
    assert any(check in code.main for check in CHECKS[:3])
    assert max(checks) < first
    inner = {function for function, (_, text) in code.functions.items() if "history" in text}
    assert inner <= {"history_changed", "refuse_history", "server_history", "refusal"}


def writes(text: str, writing: set[str]) -> bool:
    """Whether code writes, by itself or through a function that does."""
    return any(command in WRITES for command, *_ in commands(text)) or any(
        re.search(rf"(?<![\w.]){function}\(", text) for function in writing - {"redis.call"}
    )


@pytest.mark.parametrize("name", sorted(WITHOUT_HISTORY))
def test_the_exceptions_that_compare_no_history_are_exceptions(name: str) -> None:
    """A script that begins to compare is taken off the list."""
    assert not any(check in script(name).own for check in CHECKS)


def test_a_record_is_returned_in_the_order_python_reads_it() -> None:
    """`streams.record.FIELDS` and the include name the same fields; the verdict takes the place of the first."""
    functions, _ = split(bare(include("record")))
    [[_, key, *fields]] = commands(functions["read_record"][1])
    assert key == "key"
    assert tuple(one.strip("'") for one in fields) == ("call", *FIELDS)


@pytest.mark.parametrize("name", NAMES)
def test_the_changes_a_script_writes_by_itself_have_the_fields_of_their_kind(name: str) -> None:
    """What Lua puts together as text is what `streams.events` reads."""
    kinds = {
        msgspec.inspect.type_info(kind).tag: kind  # type: ignore[attr-defined]  # all are tagged Structs
        for kind in (*get_args(events.AnyChange), Cancel)
    }
    for text in re.findall(r"'\{\"kind\":\"[^\n]*\}'", script(name).whole):
        fields = re.findall(r"\"(\w+)\":", text)
        kind = kinds[re.findall(r"\"kind\":\"(\w+)\"", text)[0]]
        info = msgspec.structs.fields(kind)
        needed = {field.encode_name for field in info if field.required}
        assert len(set(fields)) == len(fields)
        assert needed <= set(fields) - {"kind"} <= {field.encode_name for field in info}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("claim", ClaimItem), ("import", ImportItem), ("settle", SettleItem)],
)
def test_a_plan_of_maps_has_the_fields_its_header_names(name: str, kind: type[Struct]) -> None:
    """All that the body reads are among them."""
    found = re.search(r"list of maps \{([^}]*)\}", script(name).header)
    assert found is not None
    told = {one.strip() for one in found[1].split(",")}
    assert told == set(kind.__struct_fields__)
    assert set(re.findall(r"\bitem\.(\w+)", script(name).whole)) <= told


@pytest.mark.parametrize(
    ("word", "kind", "apart"),
    [
        (r"orders\[(?:at|\(\w+ - 1\) \* WIDTH) \+ ", OrderPlan, ["change"]),
        (r"position\[", PositionPlan, []),
        (r"mapping\[", Mapping, []),
    ],
    ids=["order", "position", "mapping"],
)
def test_a_plan_of_lists_has_as_many_places_as_the_commit_reads(
    word: str, kind: type[Struct], apart: list[str]
) -> None:
    """None is left out, none is read beyond the end; what is sent apart from the others stands last."""
    used = {int(at) for at in re.findall(rf"\b{word}(\d+)\]", script("commit").whole)}
    fields = kind.__struct_fields__
    places = len(fields) - len(apart)
    assert used == set(range(1, places + 1))
    assert list(fields[places:]) == apart


def test_an_order_of_a_commit_is_as_wide_as_the_script_takes_it_to_be() -> None:
    """One place more or fewer, and the second order of a batch would be read out of the first."""
    [width] = re.findall(r"^local WIDTH = (\d+)", script("commit").whole, flags=re.MULTILINE)
    assert int(width) == len(OrderPlan.__struct_fields__) - len(["change"])


class Called(Exception):  # noqa: N818 - an answer, not a failure
    """Ends a call of `Scripts` where it would have gone to the server."""

    def __init__(self, name: str, keys: Sequence[str], args: Sequence[object]) -> None:
        super().__init__(name)
        self.name, self.keys, self.given = name, keys, args


K = AccountKeys("sim.main")
STREAMS = {
    "intents stream": K.intents, "events stream": K.events, "evidence stream": K.evidence, "control hash": K.control,
    "live sorted set": K.live, "quarantine stream": K.quarantine, "index of parked keys": K.parked_index,
    "set of position keys": K.positions, "stream it came by": "stream", "order hash": K.order("fo-1"),
    "parked hash": "parked", "venue order key": "mapping", "ended sorted set": K.ended,
    "spent set of a month": K.spent("2026-11"), "holdings hash": K.holdings,
    "rate hash": K.rate,
}  # fmt: skip
ITEM = PublishItem("{}", "fo-1", flow.place("sim.main"), "f")
CANCEL = PublishItem("{}", "fo-1")
CLAIM = ClaimItem(command="place", entry="1-1", token="t", client_order_id="fo-1")
IMPORT = ImportItem(client_order_id="fo-1", terms="{}", state="{}", digest="d", valid_until_ms=1)
ENDED = Order(
    client_order_id="fo-1", terms=None, status="filled", state=OrderState(venue_order_ids=("1", "2")), digest="d"
)
SPENT = [K.spent("2026-10"), K.spent("2026-11")]
COMMIT = CommitPlan(keys=["a", "b"], orders=[], positions=[], entries=[])
PARK = ParkPlan(entry="1-1", parked_key="parked", venue_order_key="mapping", order_key="order", executions=[])
ADJUST = AdjustPlan(
    entry="1-1",
    id="a",
    amounts=[("USDT", "", "1")],
    change="{}",
    position="p",
    moved=("", "{}", "d"),
    parked="parked",
    execution="e",
)
Call = Callable[[Scripts], Coroutine[Any, Any, object]]
# Every script, called with two keys of its own where it takes any number.
CALLS: dict[str, tuple[Call, list[str]]] = {
    "publish": (lambda s: s.publish([ITEM, CANCEL, ITEM], "id", 1), [*SPENT, *[K.order("fo-1")] * 2]),
    "claim": (lambda s: s.claim([CLAIM, CLAIM], "g", 1, 1), [*SPENT, *[K.order("fo-1")] * 2]),
    "settle": (lambda s: s.settle(client_order_id="fo-1", entry="1-1", token="t", command="place", evidence=b"",
                                  raw=b""), [K.order("fo-1")]),
    "commit": (lambda s: s.commit(COMMIT, 1, 1), ["a", "b"]),
    "park": (lambda s: s.park(PARK, 1, 1), []),
    "quarantine": (lambda s: s.quarantine(stream="stream", group="g", entry="1-1", reason=b"", raw=b"",
                                          change=b""), []),
    "sweep": (lambda s: s.sweep(["fo-1", "fo-2"], 1, 1, 1), [K.order("fo-1"), K.order("fo-2")]),
    "lease": (lambda s: s.lease("take", "me", 1), []),
    "gate": (lambda s: s.gate(), []),
    "halt": (lambda s: s.halt("halt", "why", "me"), []),
    "lapse": (lambda s: s.lapse("BTCUSDT:1", 1), []),
    "adjust": (lambda s: s.adjust(ADJUST, 1, 1), []),
    "report": (lambda s: s.report("r", "", "{}"), []),
    "stream": (lambda s: s.stream("lost", "listener.0", "c"), []),
    "rate": (lambda s: s.spend(K.rate, b""), []),
    "import": (lambda s: s.import_orders([IMPORT, IMPORT], "h"), [*SPENT, *[K.order("fo-1")] * 2]),
    "forget": (lambda s: s.forget("fo-1", ENDED, "BTCUSDT", 1, "2026-11"),
               [K.venue_order("BTCUSDT", "1"), K.venue_order("BTCUSDT", "2")]),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_python_gives_each_script_the_keys_and_arguments_of_its_contract(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is caught before it leaves: number and order of fixed keys, number of arguments."""

    async def catch(  # how long it looks for the answer is no part of the contract
        _: object, script_name: str, keys: Sequence[str], args: Sequence[object], **__: object
    ) -> object:
        raise Called(script_name, keys, args)

    monkeypatch.setattr("streams.scripts.call", catch)
    make, own = CALLS[name]
    scripts = Scripts(None, K)  # type: ignore[arg-type]  # nothing is sent
    scripts._months = "2026-10,2026-11"
    scripts.passage.enter("opening")
    with pytest.raises(Called) as caught:
        await make(scripts)
    call = caught.value
    single, more = documented(name, "KEYS")
    arguments_, _ = documented(name, "ARGV")
    assert call.name == name
    assert len(call.given) == len(arguments_)
    assert bool(more) == bool(own)
    assert list(call.keys[len(single) :]) == own
    for number, key in enumerate(call.keys[: len(single)], start=1):
        row = re.search(rf"^KEYS\[{number}\] +(.*)$", script(name).header, flags=re.MULTILINE)
        assert row is not None
        assert STREAMS.get(row[1], key) == key, row[1]
