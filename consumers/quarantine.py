"""Putting an entry that cannot be used into quarantine: the same words whoever reads the stream."""

from typing import Literal

from streams import codec, events
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.scripts import Scripts


async def quarantine(  # noqa: PLR0917 - an entry, its reason, and where they belong
    scripts: Scripts, keys: AccountKeys, stream: Literal["intents", "evidence"], entry: str, reason: str, raw: bytes,
    epoch: int | None = None,
) -> bool:  # fmt: skip
    """Keep an entry's bytes with the reason, journal it and acknowledge it; False when somebody had dealt with it."""
    name, group = (keys.intents, GATEWAYS) if stream == "intents" else (keys.evidence, LEDGERS)
    change = events.Quarantined(id=f"quarantined:{stream}:{entry}", stream=stream, entry=entry, reason=reason)
    return await scripts.quarantine(
        stream=name,
        group=group,
        entry=entry,
        reason=codec.encode({"stream": stream, "entry": entry, "reason": reason}),
        raw=raw,
        change=codec.encode(change),
        epoch=epoch,
    )
