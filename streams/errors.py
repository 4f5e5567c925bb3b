"""Errors, by what the caller may do next. Pure.

FillonceError
├── UsageError            the settings or the command are wrong: correct them (exit 2)
├── BadIntent             the intent can never become an order: correct it
│   ├── IntentSpent       it was an order long ago: use another signal id
│   └── IntentConflict    the same identity was used for another order: use another signal id
├── BadPayload            bytes that cannot be interpreted: quarantine them with the reason
├── ServerError           the embedded server cannot be started: do what the sentence says
└── StoreError
    ├── StoreUnreachable  Redis did not answer in time: nothing is known to be written, try again
    ├── HistoryChanged    the server restarted or was replaced: drop what was read, wait for the gate
    ├── GateMoved         the gate was opened anew, or is one that was left: pass it or shut it, call again
    ├── SpentChanged      the months of spent identities are others now: read them, call again
    ├── LeaseLost         another ledger leads this account: stop and stand by
    └── ContractError     a script answered outside its contract: a bug, stop
"""


class FillonceError(Exception):
    """Root of everything the pipeline raises on purpose; its text is one sentence for a person."""


class UsageError(FillonceError):
    """Settings or a command that cannot work as given."""


class BadIntent(FillonceError):  # noqa: N818 - the word of the domain, as in BadPayload
    """An intent that can never become an order."""


class IntentConflict(BadIntent):
    """The same identity came with different content.

    Attributes:
        client_order_id: the identity both share.
        stored: fingerprint of the first content.
        given: fingerprint of the refused content.
    """

    def __init__(self, client_order_id: str, stored: str, given: str) -> None:
        """Keep both fingerprints so that the two contents can be told apart."""
        super().__init__(
            f"Order {client_order_id} was already published with other content "
            f"(stored fingerprint {stored}, given {given}); use a new signal id for a new decision."
        )
        self.client_order_id, self.stored, self.given = client_order_id, stored, given


class IntentSpent(BadIntent):
    """The identity was an order whose record is forgotten; it is never sent again."""

    def __init__(self, client_order_id: str) -> None:
        """Name the identity."""
        super().__init__(f"Order {client_order_id} was made and ended long ago; a new decision needs a new signal id.")
        self.client_order_id = client_order_id


class BadPayload(FillonceError):  # noqa: N818 - the word of the domain, as in BadIntent
    """Bytes that cannot be interpreted as what they should be."""


class ServerError(FillonceError):
    """The embedded server cannot be started or was lost."""


class StoreError(FillonceError):
    """Something between this process and Redis."""


class StoreUnreachable(StoreError):  # noqa: N818 - says the state, as Python's own ConnectionRefusedError does not
    """Redis did not answer within the timeout, or refused for lack of memory."""


class HistoryChanged(StoreError):  # noqa: N818 - the name of the reply
    """The server's history is not the one this account was reconciled for."""


class GateMoved(StoreError):  # noqa: N818 - the name of the reply
    """The gate's opening is not the one that the caller has passed.

    Attributes:
        token: name of the opening that the server has.
    """

    def __init__(self, token: str) -> None:
        """Keep the name of the opening."""
        super().__init__("The gate was opened anew; what was read before is dropped.")
        self.token = token


class SpentChanged(StoreError):  # noqa: N818 - the name of the reply
    """The caller named other months of spent identities than there are."""


class LeaseLost(StoreError):  # noqa: N818 - the name of the reply
    """Another ledger holds the account's lease."""


class ContractError(StoreError):
    """A script's answer does not fit its contract."""
