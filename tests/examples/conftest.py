"""What the examples' tests need here, and not where `fillonce new --from` has copied them to."""

from pathlib import Path

import pytest

# Each starts the whole pipeline, and some start it twice.
TIMEOUT_S = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give them more time than a test has."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
