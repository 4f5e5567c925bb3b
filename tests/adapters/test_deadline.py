"""The last check before a write."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.deadline import Deadline
from adapters.venue import Window

MOMENTS = st.integers(0, 10_000)


@given(MOMENTS, st.lists(MOMENTS, max_size=4))
def test_nothing_goes_out_from_the_moment_the_window_closes(send_by_ms: int, moments: list[int]) -> None:
    """Each moment by itself; the last one that was in time is when the command was sent, 0 where there was none."""
    clock = iter(moments)
    deadline = Deadline(Window(0, send_by_ms), lambda: next(clock))
    said = [deadline() for _ in moments]
    assert [sentence == "" for sentence in said] == [now_ms < send_by_ms for now_ms in moments]
    assert deadline.sent_at_ms == next((one for one in reversed(moments) if one < send_by_ms), 0)


@given(MOMENTS, MOMENTS)
def test_what_is_left_of_a_window_is_never_negative(send_by_ms: int, now_ms: int) -> None:
    """A closed one has nothing left."""
    assert Deadline(Window(0, send_by_ms), lambda: now_ms).left_ms() == max(0, send_by_ms - now_ms)
