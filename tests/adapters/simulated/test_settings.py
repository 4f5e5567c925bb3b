"""Settings: exact numbers, no secret shown, one sentence when they are wrong."""

from decimal import Decimal

import msgspec
import pytest

from adapters.simulated import settings
from adapters.simulated.process import local_settings


def test_settings_survive_their_document():
    """What one process writes the other reads, to the last digit."""
    wanted = local_settings(["main", "other"], {"BTC": Decimal("0.10000001")})
    assert settings.decode(msgspec.json.encode(wanted)) == wanted


@pytest.mark.parametrize("field", ["name", "api_key"])
def test_two_accounts_may_not_share_what_tells_them_apart(field):
    """Names and API keys are unique."""
    first, second = local_settings(["main", "other"], {}).accounts
    same = msgspec.structs.replace(second, **{field: getattr(first, field)})
    document = msgspec.json.encode(settings.Settings("t" * 32, (first, same)))
    with pytest.raises(ValueError, match=f"its own {field}"):
        settings.decode(document)


def test_a_wrong_document_is_not_repeated_in_its_error():
    """The sentence names the field; a secret that stands there stays there."""
    with pytest.raises(ValueError, match="correct the settings") as caught:
        settings.decode(b'{"control_token": 1, "accounts": [], "secret": "hidden"}')
    assert "hidden" not in str(caught.value)
