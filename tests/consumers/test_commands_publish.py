"""`fillonce publish`: every intent is answered, and a mistake is a sentence."""

import socket
import time
from datetime import UTC, datetime

import orjson
import pytest

from consumers.commands.connecting import person
from streams import codec
from streams.schemas import Place
from streams.server import EmbeddedServer
from tests.commands import Shell, words
from tests.flow import Bench, place

FLAGS = (
    "publish", "--strategy", "me", "--signal-id", "s1", "--signal-time", "2099-01-01T00:00:00Z", "--symbol", "BTC/USDT",
    "--side", "buy", "--quantity", "0.01", "--price", "60000",
)  # fmt: skip


def lines(*intents) -> str:
    """JSON lines."""
    return "\n".join(codec.encode_text(one) for one in intents)


async def test_each_intent_of_a_file_is_answered_in_its_order(bench, shell, account, tmp_path):
    """A file of JSON lines answers with client order id, status and whether it was new; again it is a duplicate."""
    (tmp_path / "intents.jsonl").write_text(lines(place(account, "a"), place(account, "b")))
    first, second = shell("publish", "intents.jsonl", "--json"), shell("publish", "intents.jsonl", "--json")
    assert (first.code, second.code) == (0, 0)
    assert [(one["signal_id"], one["answer"], one["status"]) for one in first.json["answers"]] == [
        ("a", "new", "created"),
        ("b", "new", "created"),
    ]
    assert second.json["counts"] == {
        "new": 0, "duplicate": 2, "queued": 0, "conflict": 0, "refused": 0, "unpublished": 0
    }  # fmt: skip
    ids = [one["client_order_id"] for one in first.json["answers"]]
    assert ids == [one["client_order_id"] for one in second.json["answers"]]
    assert all([await bench.order(one) for one in ids])
    assert len(await bench.read_intents()) == 2


@pytest.mark.parametrize("form", ["array", "object", "pretty"])
async def test_an_array_and_an_object_are_read_from_standard_input(bench, shell, account, form):
    """`-` reads one JSON array or one object, on one line or on many."""
    intent = place(account)
    text = codec.encode_text(intent)
    given = {"array": f"[{text}]", "object": text, "pretty": text.replace(",", ",\n")}[form]
    said = shell("publish", "-", "--json", stdin=given)
    assert said.code == 0
    assert said.json["counts"]["new"] == 1
    assert len(await bench.read_intents()) == 1


async def test_other_content_under_the_same_identity_is_refused_with_both_fingerprints(bench, shell, account):
    """A conflict is answered with the stored and the given fingerprint, and exits 1; the first order stays."""
    await bench.publish(place(account))
    said = shell("publish", "-", "--json", stdin=lines(place(account, side="sell")))
    [answer] = said.json["answers"]
    assert (said.code, answer["answer"]) == (1, "conflict")
    assert answer["stored_fingerprint"] != answer["given_fingerprint"]
    assert (await bench.order(answer["client_order_id"])).terms.side == "buy"


async def test_malformed_intents_are_refused_by_name_and_stop_nothing(bench, shell, account):
    """Each bad line has its sentence; the good ones between them are published; the exit code is 1."""
    good = orjson.loads(codec.encode(place(account)))
    bad = [
        (orjson.dumps({**good, "quantty": "1"}), "unknown field `quantty`"),
        (orjson.dumps({**good, "quantity": 0.1}), "got `float` - at `$.quantity`"),
        (orjson.dumps({**good, "quantity": "NaN"}), "Not an intent"),
        (orjson.dumps({**good, "quantity": "0"}), "quantity must be a positive decimal"),
        (orjson.dumps({**good, "quantity": "-1"}), "quantity must be a positive decimal"),
        (orjson.dumps({**good, "price": None}), "a limit order needs a price"),
        (orjson.dumps({**good, "account": "sim.nobody"}), "Unknown account sim.nobody"),
        (orjson.dumps({**good, "symbol": "DOGE/USDT"}), "unknown symbol DOGE/USDT"),
        (orjson.dumps({**good, "signal_id": "x" * 129}), "length <= 128"),
        (orjson.dumps({**good, "signal_time": "2026-01-01T00:00:00"}), "signal_time"),
        (orjson.dumps({**good, "tags": {"x": "y" * 20_000}}), "at most 16384 bytes"),
        (b'{"kind": "place"', "Not an intent"),
        (b'{"kind": "\xff\xfe"}', "Not an intent"),
        (b"[1, 2", "Not an intent"),
        (b"not json at all", "Not an intent"),
        (orjson.dumps({"kind": "cancel", "account": account, "client_order_id": "x"}), "is not an order of fillonce"),
        (orjson.dumps({"kind": "cancel", "account": account}), "a cancel names its order by"),
    ]  # fmt: skip
    given = b"\n".join([orjson.dumps({**good, "signal_id": "first"}), *(line for line, _ in bad), orjson.dumps(good)])
    said = shell("publish", "-", "--json", stdin=given)
    assert said.code == 1
    answers = said.json["answers"]
    assert [one["answer"] for one in answers] == ["new", *["refused"] * len(bad), "new"]
    assert [one["number"] for one in answers] == list(range(1, len(bad) + 3))
    for one, (_, sentence) in zip(answers[1:-1], bad, strict=True):
        assert sentence in one["reason"], (one, sentence)
    assert len(await bench.read_intents()) == 2


async def test_more_intents_than_a_batch_keep_their_order(bench, shell, account):
    """600 intents go out in batches and stand in the stream as they stood in the file; people see a summary."""
    said = shell("publish", "-", stdin=lines(*(place(account, f"s{number}") for number in range(600))))
    assert (said.code, said.out) == (0, "600 new\n")
    entries = await bench.read_intents()
    assert [codec.decode_intent(one.fields[b"data"]).signal_id for one in entries] == [f"s{n}" for n in range(600)]


async def test_a_single_intent_is_given_by_flags(bench, shell, account):
    """Flags make one intent of the only account; the answer is a table; amounts reach the record as decimals."""
    said = shell(*FLAGS, "--post-only", "--rounding", "down", "--tag", "desk=a=b", "--leg", "x")
    assert said.code == 0
    assert "new created" in words(said.out)
    [entry] = await bench.read_intents()
    intent = codec.decode_intent(entry.fields[b"data"])
    assert isinstance(intent, Place)
    assert (intent.account, str(intent.quantity), str(intent.price)) == (account, "0.01", "60000")
    assert (intent.post_only, intent.rounding, intent.tags, intent.leg) == (True, "down", {"desk": "a=b"}, "x")


async def test_an_amend_names_its_order_either_way_and_says_what_it_is_to_be(bench, shell):
    """`--amend` takes the revision; amounts off the grid are refused before anything is written."""
    made = shell(*FLAGS, "--json").json["answers"][0]["client_order_id"]
    terms = ("--signal-time", "2099-01-01T00:00:00Z", "--quantity", "0.02", "--price", "59990", "--json")
    by_id = shell("publish", "--amend", "1", made, *terms)
    by_identity = shell("publish", "--amend", "2", "--strategy", "me", "--signal-id", "s1", *terms)
    for said in (by_id, by_identity):
        assert said.code == 0
        assert [(one["answer"], one["client_order_id"]) for one in said.json["answers"]] == [("queued", made)]
    entries = [orjson.loads(one.fields[b"data"]) for one in await bench.read_intents()][1:]
    assert [(one["revision"], one["quantity"], one["price"]) for one in entries] == [
        (1, "0.02", "59990"), (2, "0.02", "59990"),
    ]  # fmt: skip
    off = shell("publish", "--amend", "3", made, *terms[:-2], "59990.001", "--json")
    assert (off.code, off.json["answers"][0]["answer"]) == (1, "refused")
    assert "off the tick" in off.json["answers"][0]["reason"]
    assert await bench.redis.xlen(bench.keys.intents) == 3


async def test_a_cancel_names_its_order_either_way(bench, shell):
    """`--cancel` takes a client order id or the identity; both queue a cancel of the same order."""
    made = shell(*FLAGS, "--json").json["answers"][0]["client_order_id"]
    by_id = shell("publish", "--cancel", made, "--json")
    by_identity = shell("publish", "--cancel", "--strategy", "me", "--signal-id", "s1", "--json")
    for said in (by_id, by_identity):
        assert said.code == 0
        assert [(one["answer"], one["client_order_id"]) for one in said.json["answers"]] == [("queued", made)]
    entries = await bench.read_intents()
    assert [orjson.loads(one.fields[b"data"])["who"] for one in entries[1:]] == [person()] * 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--signal-time", ""), "Say when the signal was true with --signal-time"),
        (("--quantity", "a lot"), "Not an intent: "),
        (("--quantity", "1e3"), "Not an intent: "),
        (("--price", "-1"), "price must be a positive decimal"),
        (("--type", "market"), "a market order has no price"),
        (("--tag", "desk"), "A tag is NAME=VALUE, not 'desk'."),
        (("--cancel",), "A cancel takes no --price."),
        (("--amend", "1"), "An amend takes no --side."),
        (("--amend", "1", "--cancel"), "Cancel an order or amend it; not both."),
        (("intents.jsonl",), "Give a file or flags, not both"),
    ],
)
def test_flags_that_make_no_intent_are_bad_usage(shell, arguments, sentence):
    """What the flags say wrong is told in a sentence; the exit code is 2 and nothing was sent."""
    said = shell(*FLAGS, *arguments)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err


def test_with_several_accounts_one_must_be_named(shell):
    """Without --account and without an only account, the sentence names those there are."""
    two = {"a.one": {"symbols": ["BTC/USDT"]}, "a.two": {"symbols": ["BTC/USDT"]}}
    said = shell(*FLAGS, env={"FILLONCE_ACCOUNTS": orjson.dumps(two).decode()})
    assert said.code == 2
    assert said.err == "Say which account with --account; there are: a.one, a.two.\n"


def test_redis_down_is_one_sentence(shell):
    """Where nothing listens, the command says so without a trace, exits 1, and shows no password."""
    said = shell(*FLAGS, env={"FILLONCE_REDIS_URL": "redis://user:hunter2@127.0.0.1:1/0"})
    assert (said.code, said.out) == (1, "")
    assert said.err == "Redis at redis://…@127.0.0.1:1/0 does not answer (ConnectionError); is it up?\n"


def test_redis_that_hangs_is_given_up_within_the_timeout(shell, tmp_path):
    """A server that accepts and never answers costs the timeout of the settings, not more."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        begun = time.monotonic()
        said = shell(
            *FLAGS, env={"FILLONCE_REDIS_URL": f"unix://{tmp_path}/s", "FILLONCE_REDIS_TIMEOUT_MS": "1000"}
        )  # fmt: skip
        assert time.monotonic() - begun < 5
    assert said.code == 1
    assert f"Redis at unix://{tmp_path}/s does not answer" in said.err


async def test_a_shut_gate_takes_an_intent(redis, shell, bench):
    """While the account is not reconciled for the server's history it waits, and is expired in its time."""
    await redis.hset(bench.keys.control, "history", "of another server")
    said = shell(*FLAGS, "--json")
    assert said.code == 0
    assert said.json["counts"]["new"] == 1


async def test_full_redis_is_one_sentence_and_takes_nothing(tmp_path, account):
    """A server at its memory limit refuses the intent; the sentence says what to do, and no order exists."""
    from streams.connection import connect

    async with EmbeddedServer(tmp_path / "data") as server:
        redis = connect(server.url, name="test")
        bench = await Bench(redis, account).open()
        await redis.config_set("maxmemory", "1mb")
        shell = Shell(tmp_path, {"FILLONCE_REDIS_URL": server.url, "FILLONCE_REDIS_TIMEOUT_MS": "1000"})
        said = shell(*FLAGS, "--account", account)
        assert said.code == 1
        assert said.err == "Redis is full: raise maxmemory or trim; nothing was written.\n"
        assert await redis.xlen(bench.keys.intents) == 0
        await redis.aclose()


async def test_the_time_now_is_the_time_of_the_call(bench, shell):
    """`--signal-time now` is this moment, with a time zone."""
    flags = [one if one != "2099-01-01T00:00:00Z" else "now" for one in FLAGS]
    assert shell(*flags).code == 0
    [entry] = await bench.read_intents()
    intent = codec.decode_intent(entry.fields[b"data"])
    assert isinstance(intent, Place)
    age = datetime.now(UTC) - intent.signal_time
    assert 0 <= age.total_seconds() < 30
