"""The checks before a start: each verdict from what was found."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.facts import FACTS
from consumers import preflight
from consumers.preflight import Package
from streams.errors import UsageError
from streams.schemas import IdRule
from streams.settings import AccountSettings, Settings

GOOD = {
    "server_name": "valkey", "redis_version": "7.2.4", "valkey_version": "9.1.2", "role": "master",
    "maxmemory_policy": "noeviction", "maxmemory": 0, "aof_enabled": 1, "aof_last_write_status": "ok",
}  # fmt: skip
OURS = [Package(name, "fillonce", "/opt/fillonce") for name in preflight.PACKAGES]


def levels(info: dict[str, object], config: dict[str, str] | None = None) -> dict[str, str]:
    """Verdicts of a server by subject."""
    found = preflight.judge_server(info, {"appendfsync": "always"} if config is None else config)
    return {one.subject: one.level for one in found}


def test_a_durable_primary_that_never_evicts_is_fit():
    """Everything is ok on a server configured as the embedded one."""
    assert set(levels(GOOD).values()) == {"ok"}


@pytest.mark.parametrize(
    ("change", "subject", "word"),
    [
        ({"redis_version": "6.2.14", "valkey_version": None}, "server version", "7.0 or later"),
        ({"redis_version": ""}, "server version", "7.0 or later"),
        ({"role": "slave"}, "server role", "primary"),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction", "noeviction"),
        ({"maxmemory_policy": None}, "eviction", "noeviction"),
        ({"aof_enabled": 0}, "durability", "appendonly yes"),
        ({"aof_last_write_status": "err"}, "durability", "disk full"),
    ],
)
def test_an_unfit_server_is_refused_with_what_to_do(change, subject, word):
    """Each misconfiguration fails under its own subject, with a sentence that says what to set."""
    found = preflight.failed(preflight.judge_server({**GOOD, **change}, {"appendfsync": "always"}))
    assert [one.subject for one in found] == [subject]
    assert word in found[0].sentence


def test_weaker_fsync_is_said_but_not_refused():
    """Without fsync always, or where the server hides it, the verdict is a warning."""
    assert levels(GOOD, {"appendfsync": "everysec"})["durability"] == "warn"
    assert levels(GOOD, {})["durability"] == "warn"


@given(st.integers(min_value=0, max_value=10**13), st.integers(-(10**6), 10**6), st.integers(0, 10**4))
def test_skew_warns_beyond_the_bound_and_the_way(here_ms, skew_ms, way_ms):
    """A difference warns above one bound and is refused above the other, the time the answer took aside."""
    expected = "warn" if abs(skew_ms) > preflight.SKEW_WARN_MS + way_ms else "ok"
    expected = "fail" if abs(skew_ms) > preflight.SKEW_MAX_MS + way_ms else expected
    assert preflight.judge_skew(here_ms + skew_ms, here_ms, way_ms).level == expected


def test_our_packages_are_ours():
    """The installed packages carry our mark and stand together."""
    assert preflight.packages().level == "ok"
    assert preflight.judge_packages(OURS).level == "ok"


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    ("project", "folder"), [("", "/home/me"), ("fillonce", "/home/me"), ("other", "/opt/fillonce")]
)
def test_a_package_that_hides_ours_is_named(place, project, folder):
    """Another project's package, or ours from another place, is refused by name wherever it stands."""
    found = list(OURS)
    found[place] = Package(OURS[place].name, project, folder)
    verdict = preflight.judge_packages(found)
    assert verdict.level == "fail"
    assert folder in verdict.sentence or "/opt/fillonce" in verdict.sentence


@given(st.integers(1, 64))
def test_weak_identities_are_said(length):
    """A venue whose ids leave fewer than 80 bits is named; from there on it is ok."""
    rule = IdRule(charset="0123456789abcdef", length_max=length + 2, prefix="fo")
    assert preflight.judge_identity("v.a", rule).level == ("ok" if length * 4 >= 80 else "warn")


def test_an_exchange_by_ccxt_is_tried_before_anything_is_sent_there():
    """One that drops our client order id fails, with the reason."""
    good, bad = (
        AccountSettings(symbols=("BTC/USDT",), venue=f"ccxt:{name}", rest_url="http://127.0.0.1:1")
        for name in ("okx", "coinbase")
    )
    assert [one.level for one in preflight.venue("any.main", good)] == ["ok", "ok"]
    [failed] = preflight.venue("any.main", bad)
    assert failed.level == "fail"
    assert "ccxt:coinbase cannot be traded at" in failed.sentence


def test_a_venue_is_known_or_refused_and_its_longest_window_holds():
    """An unknown venue fails; so does a send window that the venue does not take."""
    account = AccountSettings(symbols=("BTC/USDT",), environment="testnet")
    assert [one.level for one in preflight.venue("binance.main", account)] == ["ok", "ok"]
    nowhere = AccountSettings(symbols=("BTC/USDT",))
    assert [one.level for one in preflight.venue("binance.main", nowhere)] == ["fail"]
    assert [one.level for one in preflight.venue("nowhere.main", account)] == ["fail"]
    assert FACTS.window_ms_max == 60_000


@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o400, "ok"), (0o640, "fail"), (0o604, "fail")])
def test_a_key_file_that_others_read_fails(tmp_path: Path, mode, level):
    """The file's mode decides; the verdict never holds the secret."""
    file = tmp_path / "keys.json"
    file.write_text('{"api_key": "kkkk", "api_secret": "ssss"}')
    file.chmod(mode)
    verdict = preflight.keys("binance.main", AccountSettings(symbols=("BTC/USDT",), credentials_file=str(file)), {})
    assert verdict.level == level
    assert "ssss" not in verdict.sentence
    assert "kkkk" not in verdict.sentence


def test_missing_keys_fail_with_the_names_of_the_variables():
    """Without a key the verdict names the two variables to set."""
    verdict = preflight.keys("binance.main", AccountSettings(symbols=("BTC/USDT",)), {})
    assert verdict.level == "fail"
    assert "FILLONCE_KEY_BINANCE_MAIN" in verdict.sentence


def test_no_accounts_forbid_a_start():
    """There is nothing to run without an account, and the first failure becomes a usage error."""
    found = preflight.before_connecting(Settings(), {})
    assert [one.subject for one in preflight.failed(found)] == ["settings"]
    with pytest.raises(UsageError, match="There are no accounts"):
        preflight.refuse(found)
