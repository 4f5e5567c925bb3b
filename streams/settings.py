"""Settings: one frozen value, read once at the edge, checked whole, passed down by part. Pure but for reading files.

A TOML file (default `fillonce.toml`), overridden by `FILLONCE_*`. Keys and secrets are never settings: they come
from the environment or from a file that only its owner can read.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from streams import misspelt
from streams.errors import UsageError
from streams.limits import Limits
from streams.policy import ReconcileSettings
from streams.rules import Rules
from streams.schemas import AccountName, Symbol

FILE_DEFAULT = "fillonce.toml"
PREFIX = "FILLONCE_"
PORT_MAX = 65_535
# Of the environment, and no settings: keys of accounts, and what programs of other languages are told (examples/).
KEYS, NO_SETTINGS = ("key_", "secret_", "passphrase_"), {"account", "socket"}

Ms = Annotated[int, Meta(ge=1, le=86_400_000)]
Count = Annotated[int, Meta(ge=1, le=10_000)]


class AccountSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account.

    Attributes:
        symbols: unified symbols that may be traded; others are unknown here.
        venue: name of the venue, or `module:attribute` of your own; default is the account's first part.
        environment: `testnet`, `demo` or `live`; empty only where every address is given.
        allow_live: `live` is refused without it, so that one slip of the pen moves no money.
        rest_url: base address of REST where it is not the environment's own.
        stream_url: address of the private stream, likewise.
        order_entry: by which way orders are sent: `rest`, or `ws` with REST standing in while the socket is down.
        order_url: address of WebSocket order entry, likewise.
        credentials_file: JSON with `api_key` and `api_secret`, readable by its owner only; default is the environment.
        send_window_ms: how long a claimed order may take to reach the venue.
        request_timeout_ms: longest wait for a venue's answer.
        in_flight_max: submissions one gateway has under way.
        backfill_overlap_ms: how far before the last known good moment a gap is fetched; above the time a dead
            stream can go unnoticed.
        stream_lease_ms: how long a listener's word that the private stream is whole counts; nobody heard for longer,
            new exposure waits.
        start_deadline_ms: an account that is not ready so long after its start is reported as overdue.
        durability: what must hold of a claim before it is sent: `memory` nothing more than the server's answer,
            `disk` that it is on disk, `replica` that `replicas_min` replicas have it.
        replicas_min: for `replica`.
        lookup_lag_ms: after which an accepted order shows at look-ups, where it is known to differ from what the
            venue's module declares (a simulated or a private venue).
        request_lifetime_ms: how long a request may still be acted upon after its window; as above.
        dead_man_ms: the venue cancels what rests when it has heard nothing of this program for so long; 0 is never.
        egress: name of the address its requests go out by, the same for all accounts behind one; what a venue counts by
            address is shared under it. Empty counts nothing, for a venue that has no limits.
        reconcile: what may be done about differences between the venue and us.
        limits: what an order must keep before it is sent.
        rules: what is watched, and what is done about it.
    """

    symbols: Annotated[tuple[Symbol, ...], Meta(min_length=1, max_length=5_000)]
    venue: str = ""
    environment: Literal["", "testnet", "demo", "live"] = ""
    allow_live: bool = False
    rest_url: str = ""
    stream_url: str = ""
    order_entry: Literal["rest", "ws"] = "rest"
    order_url: str = ""
    credentials_file: str = ""
    send_window_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    request_timeout_ms: Annotated[int, Meta(ge=50, le=60_000)] = 5_000
    in_flight_max: Annotated[int, Meta(ge=1, le=1_000)] = 32
    backfill_overlap_ms: Ms = 90_000
    stream_lease_ms: Annotated[int, Meta(ge=1_000, le=600_000)] = 5_000
    start_deadline_ms: Ms = 300_000
    durability: Literal["memory", "disk", "replica"] = "disk"
    replicas_min: Annotated[int, Meta(ge=1, le=10)] = 1
    dead_man_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = 0
    lookup_lag_ms: Ms | None = None
    request_lifetime_ms: Ms | None = None
    egress: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{0,32}(?!\n)$")] = "default"
    reconcile: ReconcileSettings = ReconcileSettings()
    limits: Limits = Limits()
    rules: Rules = Rules()


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set.

    Attributes:
        accounts: by name, `venue.name`.
        data_dir: where the embedded server keeps its data.
        redis_url: a server of your own; empty runs the embedded one.
        gateways: gateway processes per account under `fillonce run`.
        strategies: started under `fillonce run` too, each in a process of its own: `module:attribute`, or the name
            of an entry point of the group `fillonce.strategies`.
        strategy_intents_per_second_max: places and amends that one strategy's process may publish; more wait in it, so
            that a strategy which floods disturbs nobody else. 0 holds nothing back.
        claim_idle_ms: an entry pending longer belonged to a worker that died; above every send window.
        lease_ms: a ledger silent for longer is replaced.
        clock_skew_max_ms: a server's clock that differs by more from this machine's is refused at start.
        calm_ms: how often an order in good standing is looked at.
        lookup_retry_min_ms: shortest time between two look-ups of an unknown order.
        lookup_retry_max_ms: longest.
        retention_days: how long an ended order is kept; afterwards only its spent identity is.
        parked_max_hours: how long an execution waits for its order before it goes to quarantine.
        reconcile_light_ms: how often open orders and balances are compared with the venue's.
        reconcile_full_ms: how often closed orders and executions are, too.
        batch_max: entries of one batch.
        log_level: of the JSON logs on standard error.
        metrics: where `/metrics`, `/healthz` and `/readyz` are served: empty is nowhere, `unix` a socket per role in
            the data directory, `HOST:PORT` that port, or under `fillonce run` one role each from that port on. A
            host that is not this machine's loopback shows them to whoever reaches it.
        alive_within_ms: a role whose loop went round longer ago is not healthy.
        ready_lag_max: a role with more entries still to read is not ready.
    """

    accounts: dict[AccountName, AccountSettings] = {}
    data_dir: str = ".fillonce"
    redis_url: str = ""
    redis_timeout_ms: Annotated[int, Meta(ge=1_000, le=60_000)] = 2_000
    gateways: Annotated[int, Meta(ge=1, le=64)] = 2
    strategies: tuple[Annotated[str, Meta(min_length=1, max_length=256, pattern="^[^,\\s]+$")], ...] = ()
    strategy_intents_per_second_max: Annotated[int, Meta(ge=0, le=100_000)] = 100
    claim_idle_ms: Ms = 15_000
    lease_ms: Annotated[int, Meta(ge=500, le=60_000)] = 3_000
    calm_ms: Ms = 30_000
    clock_skew_max_ms: Ms = 30_000
    lookup_retry_min_ms: Ms = 100
    lookup_retry_max_ms: Ms = 5_000
    parked_max_hours: Annotated[float, Meta(gt=0, le=8_760)] = 24
    retention_days: Annotated[float, Meta(gt=0, le=3_650)] = 30
    reconcile_light_ms: Ms = 30_000
    reconcile_full_ms: Ms = 300_000
    batch_max: Annotated[int, Meta(ge=1, le=200)] = 128
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics: Annotated[str, Meta(max_length=256, pattern=r"^(|unix|(\[[0-9a-fA-F:.]+\]|[^\[\]:\s/]+):[0-9]{1,5})$")] = (
        ""
    )
    alive_within_ms: Ms = 60_000
    ready_lag_max: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 10_000

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        alike: dict[str, str] = {}
        for name in self.accounts:
            # Both would read their key from the same variables, and orders of one go out with the key of the other.
            other = alike.setdefault(name.upper().replace("-", "_").replace(".", "_"), name)
            if other != name:
                raise ValueError(f"{other} and {name} have the same names in the environment; rename one")
        for name, account in self.accounts.items():
            if self.claim_idle_ms <= account.send_window_ms:
                raise ValueError(
                    f"claim_idle_ms ({self.claim_idle_ms}) must be above send_window_ms of {name} "
                    f"({account.send_window_ms}): an entry must not be taken over while its window is open"
                )
        port = self.metrics.rpartition(":")[2]
        if port.isdigit() and int(port) > PORT_MAX:
            raise ValueError(f"metrics: there is no port {port}")
        if self.lookup_retry_min_ms > self.lookup_retry_max_ms:
            raise ValueError("lookup_retry_min_ms must not be above lookup_retry_max_ms")

    def account(self, name: str) -> AccountSettings:
        """Give one account's settings.

        Raises:
            UsageError: there is no such account.
        """
        if name not in self.accounts:
            known = ", ".join(sorted(self.accounts)) or "none"
            raise UsageError(f"No account {name} in the settings; there are: {known}.")
        return self.accounts[name]


def venue_name(account: str, settings: AccountSettings) -> str:
    """Name the venue of an account."""
    return settings.venue or account.partition(".")[0]


def spread(metrics: str, count: int) -> Sequence[str]:
    """Spread the setting over several processes of one machine: ports count up, everything else is the same for all."""
    host, colon, port = metrics.rpartition(":")
    if not colon or port == "0":
        return [metrics] * count
    return [f"{host}:{int(port) + number}" for number in range(count)]


def read(path: str, env: Mapping[str, str]) -> Settings:
    """Read the settings file and the environment over it.

    Args:
        path: the file; empty takes `FILLONCE_SETTINGS`, else `fillonce.toml` where it exists.
        env: usually `os.environ`.

    Raises:
        UsageError: with the sentence that says what to correct.
    """
    name = path or env.get(PREFIX + "SETTINGS") or ""
    given: dict[str, Any] = {}
    file = Path(name or FILE_DEFAULT)
    if name or file.exists():
        given = _load(file)
    for field in msgspec.structs.fields(Settings):
        value = env.get(PREFIX + field.name.upper())
        if value is not None:
            given[field.name] = _parsed(field.name, value)
    _refuse_misspelt(env)
    try:
        return msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        said = misspelt.sentence(error, given, Settings, AccountSettings)
        raise UsageError(f"Settings cannot be used: {said}.") from None


def _refuse_misspelt(env: Mapping[str, str]) -> None:
    """Refuse a variable that is nearly a setting; one that is something else is somebody else's."""
    known = {field.name for field in msgspec.structs.fields(Settings)} | {"settings"}
    for name in sorted(env):
        rest = name.removeprefix(PREFIX).lower()
        ours = name.startswith(PREFIX) and rest not in NO_SETTINGS and not rest.startswith(KEYS)
        if ours and rest not in known and (said := misspelt.variable(name, known, PREFIX)):
            raise UsageError(f"{said}.")


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no settings file {file}; name another with --settings.") from None
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}.") from None


def _parsed(name: str, text: str) -> Any:
    match name:
        case "accounts":
            return _parse_accounts(text)
        case "strategies":
            return [one.strip() for one in text.split(",") if one.strip()]
        case _:
            return text


def _parse_accounts(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise UsageError(f"{PREFIX}ACCOUNTS must be a JSON object of accounts.") from None
