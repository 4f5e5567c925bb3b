"""Every key, stream and consumer group. Pure; nothing else in the project composes a key.

All keys of an account carry one hash tag, `{account}`, so that one script can touch all of them and a
cluster spreads accounts, never parts of one.
"""

from msgspec import Struct

PREFIX = "fillonce"

# account name -> AccountInfo; outside the accounts because a producer starts here.
ACCOUNTS = f"{PREFIX}:accounts"

GATEWAYS = "gateways"  # consumer group of `intents`
LEDGERS = "ledgers"  # consumer group of `evidence`


def egress_rate(egress: str) -> str:
    """Hash: what venues count of the requests of one address, by budget; for all accounts that go out by it."""
    return f"{PREFIX}:{{egress.{egress}}}:rate"


def strategy_group(strategy: str, copy: str = "") -> str:
    """Consumer group of `events` that a strategy reads in, or one of several copies of it."""
    return f"strategy:{strategy}:{copy}" if copy else f"strategy:{strategy}"


class AccountKeys(Struct, frozen=True):
    """The keys of one account."""

    account: str

    @property
    def intents(self) -> str:
        """Stream of intents, in the order strategies published them."""
        return self._key("intents")

    @property
    def evidence(self) -> str:
        """Stream of everything the venue said, raw."""
        return self._key("evidence")

    @property
    def events(self) -> str:
        """The journal: one entry per state change, written by the script that made it."""
        return self._key("events")

    @property
    def quarantine(self) -> str:
        """Stream of what could not be interpreted, with the reason and the bytes."""
        return self._key("quarantine")

    @property
    def live(self) -> str:
        """Sorted set of client order ids, scored by the server time in ms of their next look."""
        return self._key("live")

    @property
    def ended(self) -> str:
        """Sorted set of client order ids that ended, scored by the server time in ms of their last commit."""
        return self._key("ended")

    @property
    def control(self) -> str:
        """Hash: history, ledger lease and epoch, stream watermark."""
        return self._key("control")

    @property
    def roles(self) -> str:
        """Hash: role's name -> its last heartbeat; for people, nothing decides by it."""
        return self._key("roles")

    @property
    def instruments(self) -> str:
        """Hash: symbol -> Instrument, and `version`; written by whoever loaded them from the venue."""
        return self._key("instruments")

    @property
    def parked_index(self) -> str:
        """Sorted set of parked keys, scored by the server time in ms of their first execution."""
        return self._key("parked")

    @property
    def positions(self) -> str:
        """Set of position keys, so that they are listed without a scan."""
        return self._key("positions")

    @property
    def marks(self) -> str:
        """Stream of reference prices, written by a feed or a strategy."""
        return self._key("marks")

    @property
    def holdings(self) -> str:
        """Hash: asset -> what the account holds beside its fills; `:` and an adjustment's id -> it was counted."""
        return self._key("holdings")

    @property
    def rate(self) -> str:
        """Hash: what the venue counts of this account's requests, by budget; no truth, it is learned anew."""
        return self._key("rate")

    def order(self, client_order_id: str) -> str:
        """Hash: our record of one intent's life."""
        return self._key(f"order:{client_order_id}")

    def venue_order(self, venue_symbol: str, venue_order_id: str) -> str:
        """Venue order id -> client order id; with the symbol, because ids repeat between symbols."""
        return self._key(f"venue_order:{venue_symbol}:{venue_order_id}")

    def parked(self, venue_symbol: str, venue_order_id: str) -> str:
        """Hash: execution id -> execution that waits for its order to become known."""
        return self._key(f"parked:{venue_symbol}:{venue_order_id}")

    def position(self, symbol: str, position_side: str = "net") -> str:
        """Hash: what the fills of one symbol (and side) add up to."""
        return self._key(f"position:{symbol}" if position_side == "net" else f"position:{symbol}:{position_side}")

    def spent(self, month: str) -> str:
        """Set of 16-byte marks of identities whose records were forgotten in a month (`2026-11`)."""
        return self._key(f"spent:{month}")

    def order_id(self, key: str | bytes) -> str:
        """Client order id of an order's key."""
        name = key.decode() if isinstance(key, bytes) else key
        return name.removeprefix(self._key("order:"))

    def _key(self, name: str) -> str:
        return f"{PREFIX}:{{{self.account}}}:{name}"
