"""Specification of streams/script_loader.py: an error of the server becomes one that says what to do."""

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ResponseError

from streams.errors import ContractError, StoreUnreachable
from streams.script_loader import explained


@pytest.mark.parametrize(
    "told",
    [
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "NOREPLICAS Not enough good replicas to write.",
        "MISCONF Errors writing to the AOF file: No space left on device",
        "BUSY Valkey is busy running a script.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "NOSCRIPT No matching script.",
    ],
    ids=lambda told: told.partition(" ")[0],
)
def test_a_server_that_refuses_for_now_is_one_that_cannot_be_reached(told: str) -> None:
    """As redis-py reads it, which takes the first word off some of them; roles wait and call again."""
    error = BaseParser.parse_error(told)
    assert isinstance(error, ResponseError)
    assert isinstance(explained("publish", error), StoreUnreachable)


def test_any_other_error_is_one_of_the_script() -> None:
    """Nobody calls again."""
    error = BaseParser.parse_error("ERR wrong number of arguments")
    assert isinstance(error, ResponseError)
    assert isinstance(explained("publish", error), ContractError)
