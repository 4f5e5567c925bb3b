"""What must be right before anything starts, and what `fillonce check` says of it. Judging is pure; asking is not.

Each finding is one sentence with a verdict: `ok`, `warn` (works, but know this) or `fail` (refuses to start).
"""

import importlib
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from msgspec import Struct

from streams.errors import FillonceError, UsageError
from streams.identity import STRENGTH_BITS_MIN, strength_bits
from streams.schemas import IdRule
from streams.settings import AccountSettings, Settings, venue_name

PROJECT: Final = "fillonce"
PACKAGES: Final = ("streams", "adapters", "consumers", "lua")
# Script flags, XAUTOCLAIM that drops deleted entries and XINFO lag exist from there on.
VERSION_MIN: Final = (7, 0)
# Send windows are times of the server's clock and are measured, so skew does no harm; more means a broken clock.
SKEW_WARN_MS: Final = 1_000
SKEW_MAX_MS: Final = 30_000
PENDING_MAX: Final = 10_000

Level = Literal["ok", "warn", "fail"]


class Verdict(Struct, frozen=True):
    """One finding.

    Attributes:
        subject: what was looked at, `server version` or `keys binance.main`.
        level: how it stands.
        sentence: what was found, and what to do where something is wrong.
    """

    subject: str
    level: Level
    sentence: str


class Package(Struct, frozen=True):
    """A package as Python found it."""

    name: str
    project: str
    folder: str


def failed(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """List the findings that forbid a start."""
    return [one for one in verdicts if one.level == "fail"]


def refuse(verdicts: Iterable[Verdict]) -> None:
    """Refuse to start on the first failure.

    Raises:
        UsageError: with its sentence.
    """
    for one in failed(verdicts):
        raise UsageError(one.sentence)


def packages() -> Verdict:
    """Look whether our four packages are ours."""
    return judge_packages([_package(importlib.import_module(name)) for name in PACKAGES])


def judge_packages(found: Sequence[Package]) -> Verdict:
    """Judge packages: each carries our mark, and all stand in one folder."""
    home = next((one.folder for one in found if one.project == PROJECT), "")
    for one in found:
        if one.project != PROJECT or one.folder != home:
            return Verdict(
                "packages",
                "fail",
                f"The package {one.name} in {one.folder or 'an unknown place'} is not fillonce's and hides ours; "
                "run fillonce in an environment of its own, from another directory.",
            )
    return Verdict("packages", "ok", f"streams, adapters, consumers and lua are ours, in {home}.")


def accounts(settings: Settings) -> Verdict:
    """Judge whether there is anything to run."""
    if not settings.accounts:
        return Verdict(
            "settings", "fail", 'There are no accounts in the settings; add one, for example [accounts."binance.main"].'
        )
    return Verdict("settings", "ok", f"{len(settings.accounts)} accounts: {', '.join(sorted(settings.accounts))}.")


def keys(account: str, settings: AccountSettings, env: Mapping[str, str]) -> Verdict:
    """Look for an account's key; says where it is, never what it is."""
    from consumers.keyring import credentials, variables

    subject = f"keys {account}"
    try:
        credentials(account, settings, env)
    except UsageError as error:
        return Verdict(subject, "fail", str(error))
    if all(env.get(name) for name in variables(account)):
        return Verdict(subject, "ok", "Key and secret are in the environment.")
    file = Path(settings.credentials_file)
    return Verdict(subject, "ok", f"Key and secret are in {file} (mode {stat.S_IMODE(file.stat().st_mode):04o}).")


def venue(account: str, settings: AccountSettings) -> list[Verdict]:
    """Look whether an account's venue is known, what its send windows allow, and how strong its identities are."""
    from adapters import registry
    from consumers.addresses import addresses

    name, subject = venue_name(account, settings), f"venue {account}"
    try:
        found_plug = registry.plug(name)
        facts = found_plug.facts
        addresses(account, settings)
        found_plug.check()
    except UsageError as error:
        return [Verdict(subject, "fail", str(error))]
    if settings.send_window_ms > facts.window_ms_max:
        found = Verdict(
            subject,
            "fail",
            f"send_window_ms of {account} is {settings.send_window_ms}; {name} takes at most {facts.window_ms_max}.",
        )
    else:
        found = Verdict(subject, "ok", f"{name} is known; it has not been asked.")
    return [found, judge_identity(account, facts.id_rule)]


def judge_identity(account: str, rule: IdRule) -> Verdict:
    """Judge how many bits of an identity a venue's client order ids leave room for."""
    bits, subject = strength_bits(rule), f"identity {account}"
    if bits <= 0:
        return Verdict(
            subject,
            "fail",
            f"The venue of {account} takes no client order ids, so a lost order cannot be told from one that was never "
            "sent; trade at a venue that takes them.",
        )
    if bits < STRENGTH_BITS_MIN:
        return Verdict(
            subject,
            "warn",
            f"The venue's client order ids hold {bits} bits, below {STRENGTH_BITS_MIN}: two intents may share one "
            "after some millions of orders.",
        )
    return Verdict(subject, "ok", f"Client order ids hold {bits} bits.")


def before_connecting(settings: Settings, env: Mapping[str, str]) -> list[Verdict]:
    """Everything that can be judged without a server."""
    found = [packages(), accounts(settings)]
    for name, account in settings.accounts.items():
        found += [keys(name, account, env), *venue(name, account)]
    return found


def judge_server(info: Mapping[str, Any], config: Mapping[str, str]) -> list[Verdict]:
    """Judge a server by its INFO (sections server, memory, persistence, replication) and, where allowed, CONFIG.

    Args:
        info: as redis-py reads it.
        config: `appendfsync`; empty where the server does not show its configuration.
    """
    return [_version(info), _role(info), _eviction(info), *_durability(info, config)]


def judge_skew(server_ms: int, here_ms: int, way_ms: int, max_ms: int = SKEW_MAX_MS) -> Verdict:
    """Judge the server's clock against this machine's; an answer took `way_ms` there and back."""
    skew_ms = abs(server_ms - here_ms)
    if skew_ms > max_ms + way_ms:
        return Verdict(
            "clock",
            "fail",
            f"The server's clock and this machine's differ by {skew_ms} ms, more than clock_skew_max_ms ({max_ms}); "
            "let both follow NTP.",
        )
    if skew_ms > SKEW_WARN_MS + way_ms:
        return Verdict(
            "clock", "warn", f"The server's clock and this machine's differ by {skew_ms} ms; let both follow NTP."
        )
    return Verdict(
        "clock", "ok", f"The server's clock and this machine's differ by less than {skew_ms + way_ms + 1} ms."
    )


async def streams(redis: Any, accounts: Iterable[str]) -> list[Verdict]:
    """Look whether entries that somebody still has to deal with were trimmed away."""
    from redis.exceptions import ResponseError

    from streams.keys import GATEWAYS, LEDGERS, AccountKeys

    found: list[Verdict] = []
    for account in accounts:
        keys, lost = AccountKeys(account), ""
        for stream, group in ((keys.intents, GATEWAYS), (keys.evidence, LEDGERS)):
            first = await redis.xrange(stream, count=1)
            last = f"({first[0][0].decode()}" if first else "+"
            try:
                gone = await redis.xpending_range(stream, group, min="-", max=last, count=PENDING_MAX)
            except ResponseError:
                continue  # no group yet, or no stream: nothing is pending
            if gone:
                lost = (
                    f"{stream} was trimmed under {len(gone)} pending entries of {group}; stop what trims it, compare "
                    f"the orders with the venue, then drop them with XACK {stream} {group}."
                )
                found.append(Verdict(f"streams {account}", "fail", lost))
        if not lost:
            found.append(Verdict(f"streams {account}", "ok", "Every pending entry can be read."))
    return found


async def server(redis: Any, accounts: Iterable[str] = (), skew_max_ms: int = SKEW_MAX_MS) -> list[Verdict]:
    """Ask a server that answers; the client is a `redis.asyncio.Redis`."""
    import time

    from redis.exceptions import ResponseError

    info: dict[str, Any] = {}
    for section in ("server", "memory", "persistence", "replication"):
        info |= await redis.info(section)
    try:
        config = await redis.config_get("appendfsync")
    except ResponseError:
        config = {}
    before = time.time_ns()
    seconds, micros = await redis.time()
    way_ms = (time.time_ns() - before) // 1_000_000
    skew = judge_skew(int(seconds) * 1000 + int(micros) // 1000, before // 1_000_000 + way_ms // 2, way_ms, skew_max_ms)
    return [*judge_server(info, config), skew, *await streams(redis, accounts), await _scripts(redis)]


async def _scripts(redis: Any) -> Verdict:
    from redis.exceptions import RedisError

    from streams.script_loader import NAMES, load

    for name in NAMES:
        try:
            sha = await redis.script_load(load(name).text)
        except RedisError as error:
            return Verdict("scripts", "fail", f"The server refuses the script {name} ({type(error).__name__}).")
        if (sha.decode() if isinstance(sha, bytes) else sha) != load(name).sha:
            return Verdict("scripts", "fail", f"The server names the script {name} otherwise than we do.")
    return Verdict("scripts", "ok", f"All {len(NAMES)} scripts load.")


def embedded() -> Verdict:
    """Look for the program of the embedded server, which does not run now."""
    from streams.server import find_binary, server_version

    try:
        binary = find_binary()
        return Verdict("server program", "ok", f"{server_version(binary)} will be started by `fillonce run`.")
    except FillonceError as error:
        return Verdict("server program", "fail", str(error))


def _package(module: ModuleType) -> Package:
    file = getattr(module, "__file__", None)
    folder = str(Path(file).resolve().parent.parent) if file else ""
    return Package(module.__name__, str(getattr(module, "__project__", "")), folder)


def _version(info: Mapping[str, Any]) -> Verdict:
    product = str(info.get("server_name", "redis")).capitalize()
    # Valkey says in redis_version which Redis it is compatible with.
    number, shown = str(info.get("redis_version", "0")), str(info.get("valkey_version") or info.get("redis_version"))
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdigit())
    if parts < VERSION_MIN:
        return Verdict(
            "server version", "fail", f"The server is {product} {shown}; fillonce needs Redis or Valkey 7.0 or later."
        )
    return Verdict("server version", "ok", f"{product} {shown}.")


def _role(info: Mapping[str, Any]) -> Verdict:
    if info.get("role") != "master":
        return Verdict(
            "server role", "fail", "The server is a replica; point redis_url at the primary, a replica takes no orders."
        )
    return Verdict("server role", "ok", "The server is a primary.")


def _eviction(info: Mapping[str, Any]) -> Verdict:
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        return Verdict(
            "eviction",
            "fail",
            f"maxmemory-policy is {policy}: the server would delete orders when it is full; set it to noeviction.",
        )
    limit = int(info.get("maxmemory", 0))
    room = f"it may use {limit // 1024 // 1024} MiB" if limit else "without a limit of its own"
    return Verdict("eviction", "ok", f"Nothing is evicted ({room}).")


def _durability(info: Mapping[str, Any], config: Mapping[str, str]) -> list[Verdict]:
    if not int(info.get("aof_enabled", 0)):
        return [Verdict("durability", "fail", "appendonly is off: a crash would lose orders; set appendonly yes.")]
    fsync = config.get("appendfsync")
    match fsync:
        case "always":
            found = Verdict("durability", "ok", "Every write is on disk before it is answered.")
        case None:
            found = Verdict(
                "durability",
                "warn",
                "The server does not show appendfsync; only with `always` power loss loses nothing.",
            )
        case _:
            found = Verdict(
                "durability", "warn", f"appendfsync is {fsync}: power loss may lose the last seconds; set it to always."
            )
    if info.get("aof_last_write_status", "ok") != "ok":
        return [Verdict("durability", "fail", "The server cannot write its append-only file; is the disk full?"), found]
    return [found]
