"""`fillonce ingest`: recorded payloads go the way of live ones, and each gets a verdict."""

import asyncio
from pathlib import Path

import orjson
import pytest

from adapters.binance.decode import ORDER_FORMAT, STREAM_FORMAT, decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from tests.commands import Shell, words
from tests.flow import LEASE_MS, Bench, execution, place, status

PAYLOADS = Path(__file__).resolve().parents[3] / "shared" / "payloads"


@pytest.fixture
def shell(tmp_path):
    """A shell in an empty directory."""
    return Shell(tmp_path)


def test_every_recorded_binance_payload_gets_a_verdict(shell):
    """Every file that names Binance is read, each payload in it is judged, and the ledger works to the end."""
    files = sorted(str(one) for one in PAYLOADS.rglob("*") if one.is_file() and "binance" in str(one).lower())
    if not files:
        pytest.skip(f"no recorded payloads in {PAYLOADS.name}; they are read in place and not part of the project")
    said = shell("ingest", "--venue", "binance", *files, "--json")
    assert said.code == 0, said.err
    report = said.json
    assert report["unreadable"] == []
    assert {one["file"] for one in report["payloads"]} == set(files)
    assert report["counts"]["none"] == 0
    assert all(one["reason"] for one in report["payloads"] if one["verdict"] in ("quarantined", "ignored"))
    kinds = report["kinds"]
    assert kinds[ORDER_FORMAT]["ignored"] > 50
    assert kinds["binance.trade"]["parked"] > 5
    assert kinds[STREAM_FORMAT]["parked"] > 0
    assert set(kinds["binance.unrecognised"]) == set(report["counts"])
    assert all(count == 0 for word, count in kinds["binance.unrecognised"].items() if word != "quarantined")


def test_broken_files_are_quarantined_with_a_reason(shell, tmp_path):
    """Nothing that stands in a file ends the ledger: the payload after each broken one is still judged."""
    broken = {
        "empty": b"",
        "cut": b'{"symbol": "BTCUSDT", "orderId": 1, "status": "NEW", ',
        "binary": bytes(range(256)),
        "deep": b"[" * 5_000,
        "number": b"7" * 10_000,
        "types": orjson.dumps({"symbol": [], "orderId": {}, "status": 7}),
        "event": orjson.dumps({"e": "executionReport", "s": None}),
        "newer": orjson.dumps({"e": "somethingNew", "i": 1}),
        "twice": orjson.dumps([execution(1, 2, "x"), execution(1, 2, "x")]),
        "good": orjson.dumps(execution(2, 1, "x")),
    }
    for number, (name, data) in enumerate(broken.items()):
        (tmp_path / f"{number:02}-{name}.json").write_bytes(data)
    said = shell("ingest", "--venue", "binance", str(tmp_path), "--json")
    assert said.code == 0, said.err
    verdicts: dict[str, list[tuple[str, bool]]] = {}
    for one in said.json["payloads"]:
        verdicts.setdefault(Path(one["file"]).stem.partition("-")[2], []).append((one["verdict"], bool(one["reason"])))
    quarantined = [("quarantined", True)]
    for name in ("empty", "cut", "binary", "deep", "number", "types", "event", "newer"):
        assert verdicts[name] == quarantined, name
    assert verdicts["twice"] == [("parked", True), ("repeated", True)]
    assert verdicts["good"] == [("parked", True)]


def test_what_the_venue_did_to_an_account_is_applied(shell, tmp_path):
    """Transfers, funding and what it traded by itself; the same word again has nothing new."""
    closed = {
        "s": "BTCUSDT", "c": "autoclose-1568879465650", "S": "SELL", "x": "CALCULATED", "X": "FILLED", "i": 8,
        "l": "0.1", "z": "0.1", "L": "9000", "n": "0.9", "N": "USDT", "T": 3, "t": 12, "m": False, "ps": "BOTH",
    }  # fmt: skip
    told = (
        {"e": "balanceUpdate", "E": 1, "a": "BTC", "d": "2", "T": 1},
        {"e": "ACCOUNT_UPDATE", "E": 2, "T": 2, "a": {"m": "FUNDING_FEE", "B": [{"a": "USDT", "bc": "-1"}]}},
        {"e": "ORDER_TRADE_UPDATE", "E": 3, "T": 3, "o": closed},
    )
    (tmp_path / "told.jsonl").write_bytes(b"\n".join(map(orjson.dumps, (*told, told[0]))))
    said = shell("ingest", "--venue", "binance-usdm", "told.jsonl", "--json")
    assert said.code == 0, said.err
    assert [(one["verdict"], one["reason"].partition(":")[0]) for one in said.json["payloads"]] == [
        ("applied", "transfer"), ("applied", "funding"), ("applied", "liquidation"),
        ("repeated", "nothing in it that was not known"),
    ]  # fmt: skip


def test_what_cannot_be_read_is_named_and_exits_1(shell, tmp_path):
    """A missing file and one above the limit are told beside the report of the others."""
    (tmp_path / "good.json").write_bytes(orjson.dumps(execution(2, 1, "x")))
    with (tmp_path / "huge.json").open("wb") as huge:
        huge.truncate(33 * 1024 * 1024)
    said = shell("ingest", "--venue", "binance", "gone.json", "huge.json", "good.json")
    assert said.code == 1
    shown = words(said.out)
    assert "gone.json No such file or directory" in shown
    assert "huge.json more than 32 MiB; split it" in shown
    assert "1 payloads of 1 files" in shown


async def test_payloads_of_our_own_orders_are_applied_by_the_pipeline_that_runs(redis, redis_url, account, tmp_path):
    """With --account of a pipeline that runs, its ledger applies them, once, however often they are ingested."""
    bench = await Bench(redis, account).open()
    _, claim = await bench.claimed(place(account))
    name = claim.order.client_order_id
    (tmp_path / "frames.jsonl").write_bytes(
        b"\n".join(map(orjson.dumps, (execution(7, 1, name), status(7, name, "EXPIRED", z="0.4"))))
    )
    shell = Shell(
        tmp_path,
        {
            "FILLONCE_REDIS_URL": redis_url,
            "FILLONCE_ACCOUNTS": orjson.dumps({account: {"symbols": ["BTC/USDT"], "venue": "binance"}}).decode(),
        },
    )
    ledger = Ledger(
        redis=redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode, clock=bench.clock,
        settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=Rules(True, 30_000)),
    )  # fmt: skip
    leading = asyncio.create_task(ledger.run())
    command = ("ingest", "--venue", "binance", "--account", account, "frames.jsonl", "--json")
    first = await asyncio.to_thread(shell, *command)
    second = await asyncio.to_thread(shell, *command)
    ledger.stop()
    await leading
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.json["server"] == "pipeline"
    assert first.json["counts"]["applied"] == 2
    assert second.json["counts"]["repeated"] == 2
    order = await bench.order(name)
    assert (order.status, str(order.state.filled)) == ("expired", "0.4")


def test_people_see_kinds_verdicts_and_reasons(shell, tmp_path):
    """Without --json two tables tell what became of each kind, and why."""
    (tmp_path / "a.json").write_bytes(orjson.dumps({"e": "somethingNew"}))
    said = shell("ingest", "--venue", "binance", "a.json")
    assert said.code == 0
    assert "event 'somethingNew' is not on the list of known ones" in words(said.out)
