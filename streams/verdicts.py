"""What `publish` and `claim` answered, as types. Pure."""

from streams.errors import ContractError
from streams.plans import (
    Busy,
    Claimed,
    ClaimItem,
    ClaimVerdict,
    Conflict,
    Done,
    Gap,
    Halted,
    Known,
    Published,
    PublishItem,
    PublishVerdict,
    Reducing,
    Spent,
    Stale,
)
from streams.record import to_order
from streams.schemas import Order, Place


def publish_verdict(item: PublishItem, answer: bytes | list[bytes | None]) -> PublishVerdict:
    """Read the verdict on one published intent."""
    match answer:
        case bytes(entry):
            return Published(entry.decode(), item.digest)
        case [b"duplicate", *record]:
            return Known(order_of(item.terms.account if item.terms else "", item.client_order_id, record, item.terms))
        case [b"queued", bytes(entry)]:
            return Published(entry.decode())
        case [b"conflict", bytes(stored)]:
            return Conflict(stored.decode())
        case [b"spent"]:
            return Spent()
    raise ContractError(f"publish answered {answer[:1]!r}")


_WAITING: dict[bytes, ClaimVerdict] = {
    b"busy": Busy(), b"halted": Halted(), b"stale": Stale(), b"reducing": Reducing(), b"gap": Gap(),
}  # fmt: skip


def claim_verdict(account: str, item: ClaimItem, now_ms: int, answer: list[bytes | None]) -> ClaimVerdict:
    """Read the verdict on one claimed entry of an account; `now_ms` is the server's clock at the claim."""
    match answer:
        case [b"claimed", bytes(send_by), *record]:
            return Claimed(order_of(account, item.client_order_id, record), now_ms, int(send_by))
        case [b"busy" | b"halted" | b"stale" | b"reducing" | b"gap" as word]:
            return _WAITING[word]
        case [b"conflict", bytes(stored)]:
            return Conflict(stored.decode())
        case [b"done", bytes(status)]:
            return Done(status.decode())
    raise ContractError(f"claim answered {answer[:1]!r}")


def order_of(account: str, client_order_id: str, record: list[bytes | None], same: Place | None = None) -> Order:
    """Read a record that a script returned; `same` are the terms that it was asked about."""
    order = to_order(account, client_order_id, record, same)
    if order is None:
        raise ContractError(f"a script returned no record for {client_order_id}")
    return order
