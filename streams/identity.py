"""Identity: the client order id and the fingerprint of an intent. Pure.

Both are digests of a canonical encoding: a JSON array of texts, so that parts cannot run into each
other, with amounts in their one canonical text and times in UTC milliseconds.
"""

import hashlib
import math
from functools import cache

import msgspec

from streams.errors import BadIntent
from streams.money import text
from streams.schemas import REVISION_MAX, Amend, Cancel, ClientOrderId, IdRule, Place, epoch_ms

DIGEST_BITS = 128
# Below this a birthday among 10 million orders stops being unthinkable; a venue that leaves less is named.
STRENGTH_BITS_MIN = 80

_encode = msgspec.json.Encoder().encode
_sha256 = hashlib.sha256(b"fillonce 1 ")  # a copy of it costs less than a new one does


def client_order_id(intent: Place | Cancel | Amend, rule: IdRule) -> ClientOrderId:
    """Derive the client order id of an intent for one venue.

    Args:
        intent: a place, or a cancel or an amend that names its order either way.
        rule: the venue's charset, length and our prefix.

    Returns:
        The same id for the same account, strategy, signal id and leg, in every process and for ever.

    Raises:
        BadIntent: it names an id that is not ours.
    """
    if not isinstance(intent, Place) and intent.client_order_id is not None:
        if not is_ours(intent.client_order_id, rule):
            raise BadIntent(f"{intent.client_order_id!r} is not an order of fillonce; its ids begin with {rule.prefix}")
        return ClientOrderId(intent.client_order_id)
    parts = ["order", intent.account, intent.strategy or "", intent.signal_id or "", intent.leg]
    return ClientOrderId(rule.prefix + _render(_digest(parts), rule))


def fingerprint(intent: Place) -> str:
    """Digest everything that affects the order: 32 hexadecimal digits. Tags do not affect it."""
    return fingerprint_until(intent, str(intent.valid_until_ms))


def fingerprint_until(intent: Place, valid_until: str) -> str:
    """Digest likewise, for somebody who has the end of validity in ms as text already."""
    parts = [
        "terms",
        str(epoch_ms(intent.signal_time)),
        valid_until,
        intent.symbol,
        intent.side,
        intent.type,
        text(intent.quantity),
        "" if intent.price is None else text(intent.price),
        intent.time_in_force,
        str(intent.post_only),
        str(intent.reduce_only),
        intent.position_side,
        intent.rounding or "",
    ]
    return _digest(parts).hex()


def amend_fingerprint(intent: Amend) -> str:
    """Digest everything that an amend asks for: 32 hexadecimal digits."""
    parts = [
        "amend",
        str(intent.revision),
        str(epoch_ms(intent.signal_time)),
        str(intent.valid_until_ms),
        text(intent.quantity),
        text(intent.price),
        intent.rounding or "",
    ]
    return _digest(parts).hex()


def can_amend(rule: IdRule) -> bool:
    """Say whether the venue's ids have room for the generation of a replacement."""
    return rule.length_max >= len(rule.prefix) + digits(rule) + generation_digits(rule)


def wire_id(client_order_id: str, generation: int, rule: IdRule) -> str:
    """Name one of an order's orders at the venue: its identity, and the amend's revision behind it where one made it.

    So the name is known before anything is sent, is the same in every process, and tells whose order it is.
    """
    if not generation:
        return client_order_id
    signs = []
    for _ in range(generation_digits(rule)):
        generation, place = divmod(generation, len(rule.charset))
        signs.append(rule.charset[place])
    return client_order_id + "".join(signs)


def read_wire_id(name: str, rule: IdRule) -> tuple[str, int]:
    """Give identity and generation of a name at the venue; one that is not ours is returned as it is."""
    length = len(rule.prefix) + digits(rule)
    if len(name) != length + generation_digits(rule) or not is_ours(name[:length], rule):
        return name, 0
    generation = 0
    for sign in reversed(name[length:]):
        place = rule.charset.find(sign)
        if place < 0:
            return name, 0
        generation = generation * len(rule.charset) + place
    return (name[:length], generation) if 0 < generation <= REVISION_MAX else (name, 0)


def is_ours(client_id: str | None, rule: IdRule) -> bool:
    """Tell our ids from those of other systems, and of the venue itself, by prefix, length and charset."""
    return (
        client_id is not None
        and client_id.startswith(rule.prefix)
        and len(client_id) == len(rule.prefix) + digits(rule)
        and all(sign in rule.charset for sign in client_id[len(rule.prefix) :])
    )


def strength_bits(rule: IdRule) -> int:
    """Say how many bits of the digest the venue's rule leaves room for."""
    return min(DIGEST_BITS, math.floor((rule.length_max - len(rule.prefix)) * math.log2(len(rule.charset))))


@cache
def generation_digits(rule: IdRule) -> int:
    """Count the signs that a generation takes at the end of a name at the venue."""
    return math.ceil(math.log(REVISION_MAX + 1, len(rule.charset)))


@cache
def digits(rule: IdRule) -> int:
    """Count the signs behind the prefix of an identity."""
    wanted = math.ceil(DIGEST_BITS / math.log2(len(rule.charset)))
    return min(wanted, rule.length_max - len(rule.prefix))


def _render(digest: bytes, rule: IdRule) -> str:
    count, pairs = digits(rule), _pairs(rule.charset)
    base = len(pairs)
    number, square, signs = int.from_bytes(digest), base * base, ""
    # Written out, because this is a third of what making an identity takes: four digits at a time, since a division of
    # the long number is what costs and what is left fits a machine word; 24 digits are enough for nearly every venue.
    while len(signs) < count:
        number, a = divmod(number, square)
        number, b = divmod(number, square)
        number, c = divmod(number, square)
        number, d = divmod(number, square)
        number, e = divmod(number, square)
        number, f = divmod(number, square)
        signs += (
            f"{pairs[a % base]}{pairs[a // base]}{pairs[b % base]}{pairs[b // base]}"
            f"{pairs[c % base]}{pairs[c // base]}{pairs[d % base]}{pairs[d // base]}"
            f"{pairs[e % base]}{pairs[e // base]}{pairs[f % base]}{pairs[f // base]}"
        )
    return signs[:count]


@cache
def _pairs(charset: str) -> tuple[str, ...]:
    """All pairs of digits, the lower one written first."""
    return tuple(low + high for high in charset for low in charset)


def _digest(parts: list[str]) -> bytes:
    digest = _sha256.copy()
    digest.update(_encode(parts))
    return digest.digest()[: DIGEST_BITS // 8]
