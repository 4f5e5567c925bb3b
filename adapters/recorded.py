"""One payload out of a recorded file. Pure."""

from msgspec import Struct


class Recorded(Struct, frozen=True):
    """One payload of a recorded file.

    Attributes:
        format: how `raw` decodes; empty when it holds no order, fill or stream event.
        raw: the bytes as they stand in the file.
        reason: why there is no format.
    """

    format: str
    raw: bytes
    reason: str = ""
