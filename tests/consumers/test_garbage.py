"""Python's collector in a worker: start-up is left alone, batches are looked at rarely."""

import gc
from collections.abc import Iterator

import pytest

from consumers import garbage


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector as it was, afterwards."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_what_start_up_made_is_never_looked_at_again_and_a_batch_does_not_start_the_collector() -> None:
    """A batch makes some thousand objects that may be parts of cycles, and frees them."""
    garbage.freeze()
    assert gc.get_freeze_count() > 1_000
    before = gc.get_stats()[0]["collections"]
    batch = [[number] for number in range(10_000)]
    assert len(batch) == 10_000
    assert gc.get_stats()[0]["collections"] == before
