"""Pure: Binance spot's refusals with its own codes and sentences (errors page of its spot API documentation)."""


class Refusal(Exception):  # noqa: N818  it is an answer of the venue, not a fault of ours
    """An answer `{"code": code, "msg": msg}` with an HTTP status. Nothing was done for the request.

    Attributes:
        status: the HTTP status.
        code: the venue's own number.
        msg: the venue's own sentence.
        retry_after_s: what the Retry-After header says, None when it is not sent.
    """

    def __init__(self, code: int, msg: str, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code} {msg}")
        self.status = status
        self.code = code
        self.msg = msg
        self.retry_after_s = retry_after_s


def filter_failure(name: str) -> Refusal:
    """A symbol filter refused the order before it reached the matching engine."""
    return Refusal(-1013, f"Filter failure: {name}")


def mandatory(parameter: str) -> Refusal:
    """A parameter that must be sent is missing, empty or malformed."""
    return Refusal(-1102, f"Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed.")


def one_of(first: str, second: str) -> Refusal:
    """Neither of two parameters was sent."""
    return Refusal(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def illegal(parameter: str, legal_range: str) -> Refusal:
    """A parameter holds characters outside of its range."""
    return Refusal(-1100, f"Illegal characters found in parameter '{parameter}'; legal range is '{legal_range}'.")


def too_precise(parameter: str) -> Refusal:
    """More decimals than the asset has."""
    return Refusal(-1111, f"Parameter '{parameter}' has too much precision.")


def too_much_weight(limit: int, retry_after_s: int) -> Refusal:
    """The request weight of the address is used up for this minute."""
    sentence = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return Refusal(-1003, sentence, 429, retry_after_s)


def too_many_orders(limit: int, interval: str) -> Refusal:
    """The order count of the account is used up. Binance sends no Retry-After with this one."""
    return Refusal(-1015, f"Too many new orders; current limit is {limit} orders per {interval}.", 429)


def too_late() -> Refusal:
    """The request is older than its window when it is looked at."""
    return Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")


def too_early() -> Refusal:
    """The request claims to come from the future."""
    return Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def bad_window() -> Refusal:
    """A window longer than the venue allows."""
    return Refusal(-1131, "recvWindow must be less than 60000")


def bad_signature() -> Refusal:
    """The signature does not belong to these bytes and this key."""
    return Refusal(-1022, "Signature for this request is not valid.")


def key_format() -> Refusal:
    """No API key, or one that cannot be a key."""
    return Refusal(-2014, "API-key format invalid.", 401)


def unknown_key() -> Refusal:
    """An API key nobody has."""
    return Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def bad_symbol() -> Refusal:
    """No such symbol."""
    return Refusal(-1121, "Invalid symbol.")


def insufficient_balance() -> Refusal:
    """The matching engine found too little free balance."""
    return Refusal(-2010, "Account has insufficient balance for requested action.")


def duplicate_order() -> Refusal:
    """An OPEN order has this client order id; a closed one does not matter to the venue."""
    return Refusal(-2010, "Duplicate order sent.")


def would_take() -> Refusal:
    """A post-only order that would trade at once."""
    return Refusal(-2010, "Order would immediately match and take.")


def unknown_order() -> Refusal:
    """A cancel for an order that is not open: never there, filled, or gone."""
    return Refusal(-2011, "Unknown order sent.")


def no_such_order() -> Refusal:
    """A look-up that found nothing, which is no proof of absence."""
    return Refusal(-2013, "Order does not exist.")


def bad_combination() -> Refusal:
    """Optional parameters that may not be sent together."""
    return Refusal(-1128, "Combination of optional parameters invalid.")
