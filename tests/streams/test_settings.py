"""Specification of streams/settings.py: a file, the environment over it, and a sentence for whatever is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import UsageError
from streams.policy import Kind, Mode
from streams.rules import Action, Rule, Rules
from streams.settings import AccountSettings, Settings, read, venue_name

ACCOUNT = '[accounts."binance.main"]\nsymbols = ["BTC/USDT"]\n'
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a settings file and names it."""

    def put(text: str) -> str:
        file = tmp_path / "settings.toml"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return put


def test_without_a_file_there_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing needs to be written for a first look."""
    monkeypatch.chdir(tmp_path)
    assert read("", {}) == Settings()


def test_the_default_file_is_taken_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fillonce.toml` in the working directory needs no option."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fillonce.toml").write_text("gateways = 7\n")
    assert read("", {}).gateways == 7


def test_a_file_is_read_whole(write: Write) -> None:
    """Tables of accounts and plain values."""
    settings = read(write(f"gateways = 3\n{ACCOUNT}send_window_ms = 700\n"), {})
    assert settings.gateways == 3
    assert settings.account("binance.main") == AccountSettings(symbols=("BTC/USDT",), send_window_ms=700)


def test_the_environment_names_the_file(write: Write) -> None:
    """`FILLONCE_SETTINGS` stands in for the option; the option wins."""
    named = write("gateways = 3\n")
    assert read("", {"FILLONCE_SETTINGS": named}).gateways == 3
    with pytest.raises(UsageError, match="no settings file other"):
        read("other", {"FILLONCE_SETTINGS": named})


def test_the_environment_overrides_the_file(write: Write) -> None:
    """Texts become what the field is; what is not overridden stays."""
    env = {"FILLONCE_GATEWAYS": "5", "FILLONCE_LOG_LEVEL": "debug", "FILLONCE_REDIS_URL": "redis://h", "GATEWAYS": "9"}
    settings = read(write('gateways = 3\nlease_ms = 800\nlog_level = "error"\n'), env)
    assert (settings.gateways, settings.log_level, settings.redis_url, settings.lease_ms) == (
        5,
        "debug",
        "redis://h",
        800,
    )


def test_accounts_come_from_the_environment_as_json(write: Write) -> None:
    """They replace those of the file as a whole, so that no half of an account is left over."""
    env = {"FILLONCE_ACCOUNTS": '{"sim.a":{"symbols":["ETH/USDT"],"in_flight_max":"4"}}'}
    settings = read(write(ACCOUNT), env)
    assert settings.accounts == {"sim.a": AccountSettings(symbols=("ETH/USDT",), in_flight_max=4)}


@pytest.mark.parametrize("text", ["", "{", "accounts", "{'sim.a': {}}"])
def test_accounts_that_are_not_json_are_refused(text: str, write: Write) -> None:
    """The sentence names the variable."""
    with pytest.raises(UsageError, match=r"^FILLONCE_ACCOUNTS must be a JSON object of accounts\.$"):
        read(write(""), {"FILLONCE_ACCOUNTS": text})


@pytest.mark.parametrize(
    "text",
    [
        "[]", "7", '{"sim.a":{}}', '{"sim.a":{"symbols":[]}}', '{"sim":{"symbols":["A/B"]}}',
        '{"sim.a":{"symbols":["btcusdt"]}}', '{"sim.a":{"symbols":["A/B"],"key":"x"}}',
    ],
)  # fmt: skip
def test_accounts_that_are_json_but_not_accounts_are_refused(text: str, write: Write) -> None:
    """Without symbols, with a strange name, with a field that is none."""
    with pytest.raises(UsageError, match=r"^Settings cannot be used: .* `\$\.accounts.*\.$"):
        read(write(""), {"FILLONCE_ACCOUNTS": text})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gatways = 3", "unknown field `gatways`; perhaps `gateways` is meant"),
        ("colour = 3", r"unknown field `colour`\.$"),
        (ACCOUNT + "send_window = 3", r"at `\$\.accounts\.\"binance\.main\"`; perhaps `send_window_ms` is meant"),
        (ACCOUNT + "[accounts.'binance.main'.limits]\nopen_order_max = 3", r"\.limits`; perhaps `open_orders_max`"),
        (ACCOUNT + 'egress = "No. 1"', r"matching regex .* at `\$\.accounts\.\"binance\.main\"\.egress`"),
        ("gateways = 0", r"Expected `int` >= 1 - at `\$\.gateways`"),
        ("batch_max = 201", r"Expected `int` <= 200 - at `\$\.batch_max`"),
        ('log_level = "loud"', r"'loud' - at `\$\.log_level`"),
        ("claim_idle_ms = 5000\n" + ACCOUNT, r"claim_idle_ms \(5000\) must be above .* of binance\.main \(5000\)"),
        ("lookup_retry_min_ms = 9\nlookup_retry_max_ms = 8", "lookup_retry_min_ms must not be above"),
    ],
)  # fmt: skip
def test_what_is_unknown_out_of_range_or_contradicts_itself_is_refused(write: Write, text: str, sentence: str) -> None:
    """One sentence that names the field."""
    with pytest.raises(UsageError, match=f"^Settings cannot be used: .*{sentence}"):
        read(write(text), {})


@pytest.mark.parametrize("name", ["FILLONCE_DATADIR", "FILLONCE_REDIS_URI", "FILLONCE_STRATEGY", "FILLONCE_SETTING"])
def test_a_variable_that_is_nearly_a_setting_is_refused_with_the_one_that_is(write: Write, name: str) -> None:
    """It would do nothing, and nobody would know."""
    with pytest.raises(UsageError, match=rf"^{name} is no setting; FILLONCE_\w+ is\.$"):
        read(write(""), {name: "x"})


@pytest.mark.parametrize(
    "name",
    ["FILLONCE_KEY_BINANCE_MAIN", "FILLONCE_ACCOUNT", "FILLONCE_SOCKET", "FILLONCE_HOME_PAGE", "FILLON_GATEWAYS"],
)
def test_a_variable_that_is_something_else_is_left_alone(write: Write, name: str) -> None:
    """Keys, what the examples read, and whatever somebody calls by such a name."""
    assert read(write(""), {name: "x"}) == Settings()


def test_a_claim_is_idle_only_after_its_window(write: Write) -> None:
    """One millisecond above the window is enough, and the rule also holds for the environment."""
    assert read(write("claim_idle_ms = 5001\n" + ACCOUNT), {}).claim_idle_ms == 5001
    with pytest.raises(UsageError, match="must be above send_window_ms"):
        read(write("claim_idle_ms = 5001\n" + ACCOUNT), {"FILLONCE_CLAIM_IDLE_MS": "4000"})


def test_what_is_not_toml_is_refused_with_its_place(write: Write, tmp_path: Path) -> None:
    """Broken text, and bytes that are no text."""
    with pytest.raises(UsageError, match=r"settings\.toml is not TOML: .*line 1"):
        read(write("gateways =\n"), {})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"bytes\.toml is not TOML"):
        read(str(tmp_path / "bytes.toml"), {})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Missing, or a directory."""
    with pytest.raises(UsageError, match=r"no settings file .*gone\.toml; name another with --settings"):
        read(str(tmp_path / "gone.toml"), {})
    with pytest.raises(UsageError, match="Is a directory"):
        read(str(tmp_path), {})


def test_an_account_that_is_not_there_is_told_with_those_that_are(write: Write) -> None:
    """Or that there are none."""
    with pytest.raises(UsageError, match=r"No account sim\.x in the settings; there are: binance\.main\."):
        read(write(ACCOUNT), {}).account("sim.x")
    with pytest.raises(UsageError, match=r"there are: none\."):
        Settings().account("sim.x")


def test_the_venue_is_the_first_part_of_the_account_unless_it_is_named() -> None:
    """A venue of one's own is named by `module:attribute`."""
    assert venue_name("binance.main", AccountSettings(symbols=("A/B",))) == "binance"
    assert venue_name("binance.main", AccountSettings(symbols=("A/B",), venue="mine:VENUE")) == "mine:VENUE"


FIELDS = st.sampled_from(["GATEWAYS", "LEASE_MS", "BATCH_MAX", "LOG_LEVEL", "CLAIM_IDLE_MS", "REDIS_TIMEOUT_MS"])


@given(st.dictionaries(FIELDS, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)))
def test_whatever_the_environment_says_is_settings_or_one_sentence(env: dict[str, str]) -> None:
    """Nothing but `UsageError` leaves, and what passes is within its bounds."""
    try:
        settings = read("", {f"FILLONCE_{name}": value for name, value in env.items()})
    except UsageError as error:
        assert str(error).startswith("Settings cannot be used: ")  # noqa: PT017 - either way is right
    else:
        assert 1 <= settings.gateways <= 64


def test_accounts_nested_without_end_are_refused(write: Write) -> None:
    """A sentence, not a stack trace."""
    with pytest.raises(UsageError):
        read(write(""), {"FILLONCE_ACCOUNTS": "[" * 100_000})


ACTIONS = get_args(Action)
README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("rule", sorted(Rules().by_name()))
def test_every_rule_has_a_threshold_and_an_action_in_the_settings(write: Write, rule: str) -> None:
    """And the table of the README says what both are by default."""
    for above, action in enumerate(ACTIONS, start=11):
        table = f'{ACCOUNT}[accounts."binance.main".rules]\n{rule} = {{ above = {above}, action = "{action}" }}\n'
        rules = read(write(table), {}).account("binance.main").rules
        assert getattr(rules, rule) == Rule(above=above, action=action)
    default = Rules().by_name()[rule]
    assert f"| `{rule}` | {default.above} |" in README.read_text(encoding="utf-8")
    assert default.action == "alert"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_finding_has_a_mode_in_the_settings(write: Write, kind: str) -> None:
    """Each of the three."""
    for mode in get_args(Mode):
        table = f'{ACCOUNT}reconcile.modes.{kind} = "{mode}"\n'
        assert read(write(table), {}).account("binance.main").reconcile.modes == {kind: mode}
