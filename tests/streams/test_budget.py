"""What is learned from answers, and what is shown."""

from hypothesis import given
from hypothesis import strategies as st

from streams.budget import GUARD_MS, SHARES, Counter, Reading, Told, learned, name_of

MINUTE = Counter("weight/1m", 100, 60_000)


def test_what_matters_more_may_use_more() -> None:
    """Cancels before what reduces, before questions, before new orders; a part is nobody's."""
    shares = [SHARES[one] for one in ("new", "query", "reduce", "cancel")]
    assert shares == sorted(set(shares))
    assert shares[-1] < 100


@given(st.integers(0, 10**6), st.integers(0, 5_000), st.integers(0, 200))
def test_a_count_is_believed_only_where_no_edge_is_near(began_ms: int, took_ms: int, count: int) -> None:
    """Whenever it was counted between the two, a guard's error included, it was in this window."""
    ended_ms = began_ms + took_ms
    told = learned(
        Told(), Reading("weight", 60_000, count), MINUTE, began_ms=began_ms, ended_ms=ended_ms, over=False
    )  # fmt: skip
    windows = {at // 60_000 for at in (began_ms - GUARD_MS, ended_ms, ended_ms + GUARD_MS)}
    assert told == (Told(ended_ms // 60_000, count) if len(windows) == 1 else Told())


def test_a_refusal_is_believed_at_an_edge_too() -> None:
    """Whoever is refused is over in the window that is now, or was a moment ago."""
    reading = Reading("weight", 60_000, 100, 100)
    told = learned(Told(), reading, MINUTE, began_ms=59_990, ended_ms=60_010, over=True)
    assert told == Told(1, 100, 100)


def test_the_highest_count_of_a_window_stays_and_an_older_window_says_nothing() -> None:
    """Answers overtake each other."""
    known = Told(5, 40, 100)
    for at_ms, count, now in ((330_000, 30, known), (330_000, 50, Told(5, 50, 100)), (270_000, 90, known)):
        reading = Reading("weight", 60_000, count)
        assert learned(known, reading, MINUTE, began_ms=at_ms, ended_ms=at_ms, over=False) == now


def test_a_budget_has_a_name_people_read() -> None:
    """What, in which time, where."""
    assert name_of("orders", 10_000) == "orders/10s"
    assert name_of("weight", 60_000, "api.binance.com") == "api.binance.com weight/1m"
    assert name_of("orders", 86_400_000) == "orders/1d"
