"""Credentials never show themselves."""

from adapters.credentials import Credentials


def test_credentials_hide_key_and_secret() -> None:
    """Neither repr nor str nor a format shows them."""
    made = Credentials("the-key", "the-secret")
    assert {repr(made), str(made), f"{made}"} == {"Credentials(hidden)"}
