"""`fillonce replay` and `verify` beside a pipeline that runs as processes of its own."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from adapters.binance.decode import STREAM_FORMAT
from adapters.binance.facts import FACTS
from streams import codec
from streams.identity import client_order_id
from streams.keys import GATEWAYS, LEDGERS
from streams.schemas import AccountInfo, Evidence
from tests.commands import Shell, words
from tests.consumers.test_commands_run import ACCOUNT, KEYS, Pipeline, make_shell, pipeline, venue
from tests.flow import execution, place
from tests.support import wait_until

__all__ = ["make_shell", "pipeline", "venue"]

pytestmark = pytest.mark.slow

RULE = AccountInfo(venue="binance", id_rule=FACTS.id_rule).id_rule


def lose(pipeline: Pipeline, stream: str, group: str, fields: Any) -> str:
    """Append an entry that nobody handles: read in the group and acknowledged by hand in the same transaction."""
    information: Any = pipeline.redis.xinfo_stream(stream)
    entry = f"{int(information['last-generated-id'].split(b'-')[0]) + 1}-0"
    pipe = pipeline.redis.pipeline(transaction=True)
    pipe.xadd(stream, fields, id=entry)
    pipe.xreadgroup(group, "nobody", {stream: ">"})
    pipe.xack(stream, group, entry)
    _, read, acknowledged = pipe.execute()
    assert ([row[0].decode() for row in read[0][1]], acknowledged) == ([entry], 1)
    return entry


def quiet(pipeline: Pipeline) -> bool:
    """Whether every entry has been dealt with."""
    groups: Any = [*pipeline.redis.xinfo_groups(KEYS.intents), *pipeline.redis.xinfo_groups(KEYS.evidence)]
    return all(row["lag"] == row["pending"] == 0 for row in groups)


def stored(pipeline: Pipeline) -> Any:
    """Entries of both streams."""
    return pipeline.redis.xlen(KEYS.intents) + pipeline.redis.xlen(KEYS.evidence)


def sent(venue: Any) -> list[str]:
    """Client order ids in the venue's books."""

    async def read() -> Any:
        async with venue.control() as control:
            return await control.books(venue.settings.accounts[0].name)

    [book] = asyncio.run(read())["accounts"].values()
    return sorted(one["client_order_id"] for one in book["orders"])


def test_everything_delivered_again_changes_nothing_and_what_was_missed_is_applied(pipeline, venue):
    """A second delivery ends with 0 and duplicates == read; a missed execution and a missed intent are applied once,
    reported with 1; an expired intent expires; the venue sees each order once."""  # noqa: D205, D209 - one specification
    filled = pipeline.publish("s1")
    wait_until(lambda: pipeline.state(filled) == "filled")
    resting = pipeline.publish("s2", "--type", "limit", "--price", "1000")
    wait_until(lambda: pipeline.state(resting) == "open")
    wait_until(lambda: quiet(pipeline))
    books, entries, hashed = sent(venue), stored(pipeline), _hash(pipeline.shell)

    again = pipeline.shell("replay", "--stream", "intents,evidence", "--json")
    assert (again.code, again.json["changes"], again.json["changed"]) == (0, 0, [])
    assert again.json["read"] == again.json["duplicates"] == entries
    assert re.search(r"replayed \d+ of at most \d+, [\d,]+/s, \d+ s to go", again.err)
    assert _hash(pipeline.shell) == hashed
    assert sent(venue) == books

    venue_id = orjson.loads(pipeline.redis.hget(KEYS.order(resting), "state"))["venue_order_ids"][0]
    evidence = codec.encode(Evidence(source="stream", format=STREAM_FORMAT, received_at_ns=1))
    raw = orjson.dumps(execution(int(venue_id), 10**9, resting, l="0.004", z="0.004"))
    lose(pipeline, KEYS.evidence, LEDGERS, {"data": evidence, "raw": raw})
    now = datetime.now(UTC).replace(microsecond=0)
    fresh = place(ACCOUNT, "fresh", type="limit", quantity=Decimal("0.01"), price=Decimal(1_000))
    late = place(ACCOUNT, "late", signal_time=now - timedelta(hours=2))
    for intent in (fresh, late):
        lose(pipeline, KEYS.intents, GATEWAYS, {"data": codec.encode(intent)})
    missed = pipeline.shell("replay", "--account", ACCOUNT, "--stream", "evidence", "--json")
    assert (missed.code, missed.json["changes"], missed.json["changed"]) == (1, 1, [resting])
    assert missed.json["duplicates"] == missed.json["read"] - 1
    assert pipeline.state(resting) == "partially_filled"

    unsent = pipeline.shell("replay", "--stream", "intents")
    assert unsent.code == 1
    assert "changes 2" in words(unsent.out)
    wait_until(lambda: pipeline.state(client_order_id(fresh, RULE)) == "open")
    assert pipeline.state(client_order_id(late, RULE)) == "expired"
    wait_until(lambda: quiet(pipeline))
    assert pipeline.shell("replay", "--stream", "intents,evidence").code == 0
    assert sent(venue) == sorted([*books, client_order_id(fresh, RULE)])
    assert pipeline.shell("verify").code == 0


def test_a_span_by_id_and_by_time_and_the_past_as_it_was(pipeline):
    """`--from` and `--to` take ids and times; `verify --as-of` shows orders as they were; a field changed by hand is
    found, with key, field and the journal's last entry about it."""  # noqa: D205, D209 - one specification
    first = pipeline.publish("span")
    wait_until(lambda: pipeline.state(first) == "filled")
    wait_until(lambda: quiet(pipeline))
    rows: Any = pipeline.redis.xrange(KEYS.evidence)
    ids = [entry.decode() for entry, _ in rows]
    one = pipeline.shell("replay", "--from", ids[0], "--to", ids[0], "--json")
    assert (one.code, one.json["read"]) == (0, 1)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    assert pipeline.shell("replay", "--from", ahead.isoformat(), "--json").json["read"] == 0
    behind = datetime.fromtimestamp(int(ids[0].split("-")[0]) / 1000 - 1, UTC)
    assert pipeline.shell("replay", "--to", behind.isoformat(), "--json").json["read"] == 0
    assert pipeline.shell("replay", "--from", behind.isoformat(), "--json").json["read"] == len(ids) + 1

    journal: Any = pipeline.redis.xrange(KEYS.events)
    about = [entry.decode() for entry, fields in journal if first.encode() in fields[b"data"]]
    past = str(int(about[0].split("-")[0]) - 1)
    assert _as_of(pipeline.shell, past, first) is None
    assert _as_of(pipeline.shell, about[0], first) == ("created", "0")
    assert _as_of(pipeline.shell, about[-1], first) == ("filled", "0.01")
    assert _as_of(pipeline.shell, ahead.isoformat(), first) == ("filled", "0.01")
    pipeline.redis.hset(KEYS.order(first), "status", "open")
    said = pipeline.shell("verify", "--json")
    [verdict] = said.json["accounts"]
    assert (said.code, verdict["good"]) == (1, False)
    assert verdict["differences"] == [
        {"key": KEYS.order(first), "field": "status", "stored": "open", "folded": "filled", "last_entry": about[-1]}
    ]
    told = words(pipeline.shell("verify").out)
    assert "DIFFERS" in told
    assert about[-1] in told
    pipeline.redis.hset(KEYS.order(first), "status", "filled")
    assert pipeline.shell("verify").code == 0


@pytest.fixture
def shell(tmp_path, redis_url, account):
    """A shell whose settings name the server and an account nobody has used."""
    accounts = {account: {"symbols": ["BTC/USDT"], "venue": "binance"}}
    return Shell(tmp_path, {"FILLONCE_REDIS_URL": redis_url, "FILLONCE_ACCOUNTS": orjson.dumps(accounts).decode()})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stream", "events"], "--stream takes intents, evidence, or both with a comma, not 'events'."),
        (["--stream", ""], "--stream takes intents, evidence, or both with a comma, not ''."),
        (["--from", "yesterday"], "'yesterday' is neither an entry id nor a time like 2026-11-21T10:00:00Z."),
        (["--to", "2026-11-21T10:00:00"], "needs a time zone, for example 2026-11-21T10:00:00Z."),
        pytest.param(
            ["--from", "5-"], "'5-' is neither an entry id nor a time",
        ),
        pytest.param(
            ["--account", "binance.nobody"], "No account binance.nobody; there are: ",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_the_arguments_is_one_sentence(shell, arguments, sentence):
    """Exit code 2 and what to write instead; nothing is delivered."""
    said = shell("replay", *arguments)
    assert (said.code, sentence in said.err, said.out) == (2, True, ""), said


def test_without_a_pipeline_it_says_what_to_start(tmp_path):
    """On a data directory where nothing runs: one sentence, exit code 1."""
    said = Shell(tmp_path, {"FILLONCE_ACCOUNTS": '{"binance.main": {"symbols": ["BTC/USDT"]}}'})("replay")
    assert said.code == 1
    assert said.err.startswith("No pipeline runs on ")


def _as_of(shell: Shell, moment: str, client_order_id: str) -> tuple[str, str] | None:
    said = shell("verify", "--as-of", moment, "--json")
    assert said.code == 0, said
    rows = said.json["accounts"][0]["orders"]
    return next(((one["status"], one["filled"]) for one in rows if one["client_order_id"] == client_order_id), None)


def _hash(shell: Shell) -> str:
    said = shell("verify", "--json")
    assert said.code == 0, said
    return str(said.json["accounts"][0]["stored"])
