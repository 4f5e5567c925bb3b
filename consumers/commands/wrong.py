"""What is wrong with an account, in sentences made of the figures of `status`. Pure."""

from collections.abc import Mapping
from typing import Any

from consumers.commands.output import duration
from consumers.findings import held_words


def wrong(one: Mapping[str, Any]) -> list[str]:
    """Say what is not as it should be; empty when everything is.

    Args:
        one: figures of one account, as `read_figures` gives them.
    """
    gate, stream, unknown = one["gate"], one["stream"], one["orders"]["by_status"].get("unknown", 0)
    parked, quarantined, found = one["parked"]["executions"], one["quarantined"]["count"], one["reconciled"]
    stale = [role["role"] for role in one["roles"] if role["stale"]]
    lines = [
        ("" if gate["open"] else f"the gate is shut: {gate['reason']}"),
        (f"new exposure waits: {gate['starting']}" if gate["starting"] else ""),
        (f"the private stream is lost: {stream['reason']}" if stream["known"] and not stream["whole"] else ""),
        (f"{unknown} orders are unknown" if unknown else ""),
        (f"{parked} executions wait for their order" if parked else ""),
        (f"{quarantined} entries are in quarantine" if quarantined else ""),
        *(f"too large: {role['figures']['firing']}" for role in one["roles"] if role["figures"].get("firing")),
        *(
            f"venue and records cannot be compared: {role['figures']['reconcile_failed']}"
            for role in one["roles"]
            if role["figures"].get("reconcile_failed")
        ),
        ("" if one["ledger"]["holder"] else "no ledger runs"),
        (f"no word from {', '.join(stale)}" if stale else ""),
        (f"{found['left']} findings of the last reconciliation are left" if found and found["left"] else ""),
        (f"not compared meanwhile: {held_words(found['not_compared'])}" if found and found.get("not_compared") else ""),
        ("venue and records were never compared" if found is None else ""),
        *(f"still on: {name} ({why})" for name, why in one["switches"].items()),
    ]
    if found and found["age_ms"] > 600_000:
        lines.append(f"venue and records were last compared {duration(found['age_ms'])} ago")
    return [line for line in lines if line]
