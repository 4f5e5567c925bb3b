"""What a venue knows us by. Pure."""

from msgspec import Struct


class Credentials(Struct, frozen=True):
    """An API key and its secret; neither is ever shown.

    Attributes:
        api_key: names the key; it travels with every request.
        secret: signs; it never leaves the process.
        passphrase: of the key, where a venue has that too.
    """

    api_key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return "Credentials(hidden)"

    __str__ = __repr__
