"""Finds an account's key and secret: in the environment, or in a file that only its owner can read."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from adapters.credentials import Credentials
from streams.errors import UsageError
from streams.settings import PREFIX, AccountSettings, Settings


class _File(msgspec.Struct, forbid_unknown_fields=True):
    api_key: str
    api_secret: str
    passphrase: str = ""


def variables(account: str) -> tuple[str, str]:
    """Name the two environment variables of an account: `FILLONCE_KEY_BINANCE_MAIN` and `FILLONCE_SECRET_…`."""
    suffix = "".join(sign if sign.isalnum() else "_" for sign in account).upper()
    return f"{PREFIX}KEY_{suffix}", f"{PREFIX}SECRET_{suffix}"


def passphrase_variable(account: str) -> str:
    """Name the environment variable of a passphrase, where a venue's keys have one."""
    return variables(account)[0].replace(f"{PREFIX}KEY_", f"{PREFIX}PASSPHRASE_", 1)


def credentials(account: str, settings: AccountSettings, env: Mapping[str, str]) -> Credentials:
    """Find key and secret of an account.

    Raises:
        UsageError: there are none, or others can read the file.
    """
    key_name, secret_name = variables(account)
    key, secret = env.get(key_name), env.get(secret_name)
    if key and secret:
        return Credentials(key, secret, env.get(passphrase_variable(account), ""))
    if not settings.credentials_file:
        raise UsageError(f"No key for {account}: set {key_name} and {secret_name}, or credentials_file.")
    return _read(Path(settings.credentials_file))


def known_secrets(settings: Settings, env: Mapping[str, str]) -> list[str]:
    """List every text that must not appear in a log: keys, secrets, and the password of the server's address."""
    found = []
    for name, account in settings.accounts.items():
        try:
            held = credentials(name, account, env)
        except UsageError:
            continue  # whoever needs them says so
        found += [held.api_key, held.secret, held.passphrase]
    parts = urlsplit(settings.redis_url)
    found += [parts.password or "", *parse_qs(parts.query).get("password", [])]
    return [secret for secret in found if secret]


def _read(file: Path) -> Credentials:
    try:
        found = file.stat()
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or found.st_uid != os.getuid():
            raise UsageError(f"Others can read {file}; run: chmod 600 {file}")
        held = msgspec.json.decode(file.read_bytes(), type=_File)
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from None
    except msgspec.DecodeError:
        raise UsageError(f"{file} must be JSON with api_key and api_secret.") from None
    return Credentials(held.api_key, held.api_secret, held.passphrase)
