"""What `fillonce status` knows of one account, read in a few round trips however many orders there are."""

from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from consumers.lookup import for_a_person_ms
from consumers.starting import WAITS
from streams.budget import left
from streams.errors import StoreError
from streams.keys import AccountKeys, egress_rate
from streams.plans import GateState
from streams.scripts import Scripts
from streams.store import Store
from streams.store import accounts as registry

# The name a whole pipeline reports under, beside its roles.
SUPERVISOR: Final = "supervisor"
# Beats come twice a second; one that is older belongs to a role that hangs or is gone.
STALE_MS: Final = 3_000
# Live orders that are counted by status; beyond it the count is of the first that are due.
LIVE_COUNTED_MAX: Final = 20_000
PAGE: Final = 1_000
REASONS_SHOWN: Final = 5
FOR_A_PERSON_SHOWN: Final = 5
PARKED_SHOWN: Final = 20
WATERMARK: Final = "stream_watermark"


async def read_figures(redis: Redis, account: str, egress: str = "") -> dict[str, Any]:
    """Read one account's figures, with the field names of `--json`.

    Args:
        redis: a client.
        account: its name.
        egress: name of the address it goes out by; empty where nothing is counted.
    """
    keys = AccountKeys(account)
    store = Store(redis, keys)
    now_ms = await store.now_ms()
    roles = await _roles(redis, keys, now_ms)
    control: Any = await redis.hgetall(keys.control)
    watermark = control.get(WATERMARK.encode())
    parked = await store.parked()
    return {
        "account": account,
        "gate": await _gate(redis, keys, roles),
        "stream": stream(control, now_ms),
        "halted": _reason(control.get(b"halt")),
        "switches": switches(control),
        "orders": await _orders(redis, keys, now_ms),
        "backlog": await store.backlog(),
        "parked": {
            "orders": len(parked),
            "executions": sum(count for _, count, _ in parked),
            "oldest_ms": max((now_ms - since for _, _, since in parked), default=None),
            "waiting": [
                {"venue_order": name, "executions": count, "age_ms": now_ms - since}
                for name, count, since in parked[:PARKED_SHOWN]
            ],
        },
        "quarantined": await _quarantined(redis, keys),
        "roles": roles,
        "ledger": _lease(control, now_ms),
        "reconciled": _reconciled(control.get(b"reconciled"), now_ms),
        "stream_watermark_age_ms": now_ms - int(watermark) if watermark else None,
        "budgets": await _budgets(redis, keys, egress, now_ms) if egress else [],
    }


async def _budgets(redis: Redis, keys: AccountKeys, egress: str, now_ms: int) -> list[dict[str, Any]]:
    """What is left of every request budget: of the address, which it shares with others, and of the account."""
    found = []
    for key, counted_by in ((egress_rate(egress), f"egress {egress}"), (keys.rate, f"account {keys.account}")):
        stored: Any = await redis.hgetall(key)
        found += [
            {"budget": one.budget, "counted_by": counted_by, "left": one.left, "limit": one.limit}
            for one in left(stored, now_ms)
        ]
    return found


def _reconciled(stored: bytes | None, now_ms: int) -> dict[str, Any] | None:
    """When venue and records were compared last, and what it left; None when they never were."""
    if stored is None:
        return None
    told = msgspec.json.decode(stored, type=dict[str, Any])
    return {"age_ms": now_ms - int(told["at_ms"]), **told}


def switches(control: dict[bytes, bytes]) -> dict[str, str]:
    """Which switches are on, by level and scope (`halt`, `reduce:strategy:s`), and why."""
    names = sorted(name for name in control if name.partition(b":")[0] in (b"halt", b"reduce"))
    return {name.decode(): msgspec.json.decode(control[name], type=str) for name in names}


def _reason(stored: bytes | None) -> str | None:
    """Why the account is halted; None when it trades."""
    return None if stored is None else msgspec.json.decode(stored, type=str)


async def _gate(redis: Redis, keys: AccountKeys, roles: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        gate = await Scripts(redis, keys).gate()
    except StoreError as error:
        return {"open": False, "reason": str(error), "starting": "", "history": "", "server_history": ""}
    return {
        "open": gate.is_open,
        "reason": "" if gate.is_open else _shut_reason(gate.reconciled, roles),
        "starting": _starting(gate, roles) if gate.is_open else "",
        "history": gate.reconciled,
        "server_history": gate.history,
    }


def _starting(gate: GateState, roles: list[dict[str, Any]]) -> str:
    """What new exposure waits for since the gate was opened; empty for nothing."""
    if not gate.waits_for:
        return ""
    resolver = _resolver(roles)
    told = resolver["figures"].get("starting") if resolver is not None else "no resolver runs"
    return told or WAITS.get(gate.waits_for, "the resolver is at it")


def stream(control: dict[bytes, bytes], now_ms: int) -> dict[str, Any]:
    """Whether somebody vouches for the private stream, and if not, why and since when; `known` without a listener."""
    until, at = control.get(b"stream_until"), control.get(b"stream_at")
    if until is None:
        return {"known": False, "whole": False, "reason": "", "since_ms": None}
    lost = control.get(b"stream_lost")
    whole = int(until) > now_ms
    since_ms = now_ms - (int(at or until) if lost is not None else int(until))
    reason = f"no word from {control.get(b'stream_by', b'').decode()}" if lost is None else str(_reason(lost))
    return {"known": True, "whole": whole, "reason": "" if whole else reason, "since_ms": None if whole else since_ms}


def _resolver(roles: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((one for one in roles if one["role"].startswith("resolver") and not one["stale"]), None)


def _shut_reason(known: str, roles: list[dict[str, Any]]) -> str:
    resolver = _resolver(roles)
    why = "the server restarted or was replaced" if known else "the account was never reconciled"
    if resolver is None:
        return f"{why}, and no resolver runs"
    told = resolver["figures"].get("shut")
    return f"{why}; {told or 'the resolver is at it'}"


async def _orders(redis: Redis, keys: AccountKeys, now_ms: int) -> dict[str, Any]:
    live = await redis.zcard(keys.live)
    counts: dict[str, int] = {}
    oldest_unknown_ms: int | None = None
    unknown: list[tuple[str, int]] = []
    counted = 0
    while counted < min(live, LIVE_COUNTED_MAX):
        names: Any = await redis.zrange(keys.live, counted, counted + PAGE - 1)
        if not names:
            break
        pipe = redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(keys.order(name.decode()), ("status", "send_by"))
        for name, (status, send_by) in zip(names, await pipe.execute(), strict=True):
            word = status.decode() if status else "gone"
            counts[word] = counts.get(word, 0) + 1
            if word == "unknown":
                oldest_unknown_ms = max(oldest_unknown_ms or 0, now_ms - int(send_by or now_ms))
                unknown.append((name.decode(), int(send_by or now_ms)))
        counted += len(names)
    return {
        "live": live, "counted": counted, "by_status": counts, "oldest_unknown_ms": oldest_unknown_ms,
        "for_a_person": await _for_a_person(redis, keys.account, unknown, now_ms),
    }  # fmt: skip


async def _for_a_person(redis: Redis, account: str, unknown: list[tuple[str, int]], now_ms: int) -> list[str]:
    """Unknown orders of which the venue can tell nothing any more: asking on will never end it."""
    info = (await registry(redis)).get(account) if unknown else None
    if info is None:
        return []
    from adapters.registry import facts

    declared = facts(info.venue)
    return [name for name, send_by in unknown if now_ms >= for_a_person_ms(send_by, declared)][:FOR_A_PERSON_SHOWN]


async def _quarantined(redis: Redis, keys: AccountKeys) -> dict[str, Any]:
    rows: Any = await redis.xrevrange(keys.quarantine, count=REASONS_SHOWN)
    last = []
    for entry, fields in rows:
        try:
            told = msgspec.json.decode(fields.get(b"data", b"{}"), type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            told = {}
        last.append(
            {"id": entry.decode(), "stream": told.get("stream", ""), "entry": told.get("entry", ""),
             "reason": told.get("reason", "")}
        )  # fmt: skip
    return {"count": await redis.xlen(keys.quarantine), "last": last}


async def _roles(redis: Redis, keys: AccountKeys, now_ms: int) -> list[dict[str, Any]]:
    beats: dict[str, dict[str, Any]] = {}
    stored: Any = await redis.hgetall(keys.roles)
    for name, beat in stored.items():
        try:
            beats[name.decode()] = msgspec.json.decode(beat, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            beats[name.decode()] = {}
    restarts = beats.get(SUPERVISOR, {}).get("restarts", {})
    for name in restarts:
        beats.setdefault(name, {})  # started again and again, and ended each time before it could say a word
    return [_role(name, beat, restarts, now_ms) for name, beat in sorted(beats.items())]


def _role(name: str, beat: dict[str, Any], restarts: dict[str, int], now_ms: int) -> dict[str, Any]:
    at_ms, started_ms = int(beat.pop("at_ms", 0)), int(beat.pop("started_ms", 0))
    own = beat.pop("server_restarts", None) if name == SUPERVISOR else restarts.get(name)
    beat.pop("restarts", None)
    return {
        "role": name,
        "pid": beat.pop("pid", None),
        "uptime_ms": max(0, at_ms - started_ms) if started_ms else None,
        "age_ms": max(0, now_ms - at_ms) if at_ms else None,
        "stale": now_ms - at_ms > STALE_MS,
        "restarts": own,
        "figures": beat,
    }


def _lease(control: dict[bytes, bytes], now_ms: int) -> dict[str, Any]:
    left_ms = int(control.get(b"ledger_until", b"0")) - now_ms
    return {
        "holder": control.get(b"ledger_holder", b"").decode() if left_ms > 0 else "",
        "epoch": int(control.get(b"ledger_epoch", b"0")),
        "left_ms": max(0, left_ms),
    }
