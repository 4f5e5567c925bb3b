"""Power is lost: the append-only file ends anywhere."""

from pathlib import Path

import pytest

from tests.crash.lane import Lane
from tests.crash.power_loss import cuts, offsets, prepare

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def test_wherever_the_append_only_file_ends_the_state_is_an_earlier_consistent_one_and_trading_is_blocked(
    tmp_path: Path,
) -> None:
    """Each of 40 cuts leaves a beginning of the journal, its fold, all that was confirmed, and a shut gate."""
    (tmp_path / "lane").mkdir()
    async with Lane(tmp_path / "lane", seed=3) as lane:
        loss = await prepare(lane, tmp_path / "kept")
    assert not await cuts(loss, offsets(loss, last=14, anywhere=24, seed=3), tmp_path)
