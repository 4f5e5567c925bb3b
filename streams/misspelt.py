"""What to say of settings that cannot be used: which account, and which name was probably meant. Pure."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args

import msgspec
from msgspec import Struct

_UNKNOWN = re.compile(r"unknown field `([^`]*)`(?: - at `\$([^`]*)`)?")
_SOME_ACCOUNT = "$.accounts[...]"
ALIKE = 0.75


def sentence(error: msgspec.ValidationError, given: Mapping[str, Any], of: type[Struct], account: type[Struct]) -> str:
    """Say what msgspec says, with the account's name and what an unknown field should perhaps have been.

    Args:
        error: of the conversion.
        given: what could not be converted.
        of: the type of all settings.
        account: the type of one account's.
    """
    said = str(error)
    if found := _UNKNOWN.search(said):
        said += _meant(found[1], _names(_type_at(of, found[2] or "")))
    if _SOME_ACCOUNT in said and (name := _wrong_account(given.get("accounts"), account)):
        said = said.replace(_SOME_ACCOUNT, f'$.accounts."{name}"')
    return said


def variable(name: str, known: Iterable[str], prefix: str) -> str:
    """Why a variable of the environment is refused: it is nearly a setting; empty for one that is something else."""
    near = get_close_matches(name.removeprefix(prefix).lower(), list(known), 1, ALIKE)
    return f"{name} is no setting; {prefix}{near[0].upper()} is" if near else ""


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1, ALIKE)
    return f"; perhaps `{near[0]}` is meant" if near else ""


def _names(of: type[Struct] | None) -> list[str]:
    return [] if of is None else [field.name for field in msgspec.structs.fields(of)]


def _type_at(of: type[Struct] | None, path: str) -> type[Struct] | None:
    """The Struct at a path as msgspec writes it, `.accounts[...].limits`."""
    for name in path.replace("[...]", "").split("."):
        if name and of is not None:
            types = {field.name: field.type for field in msgspec.structs.fields(of)}
            of = _struct_in(types.get(name))
    return of


def _struct_in(of: Any) -> type[Struct] | None:
    if isinstance(of, type) and issubclass(of, Struct):
        return of
    return next((found for one in get_args(of) if (found := _struct_in(one)) is not None), None)


def _wrong_account(accounts: Any, account: type[Struct]) -> str:
    for name, one in accounts.items() if isinstance(accounts, dict) else ():
        try:
            msgspec.convert(one, account, strict=False)
        except msgspec.ValidationError:
            return str(name)
    return ""
