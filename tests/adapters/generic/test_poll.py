"""What is news among what an exchange is asked again and again."""

from adapters.generic.poll import OVERLAP_MS, Seen


def test_an_open_order_is_news_once_and_when_it_changes() -> None:
    """One that rests no more is asked for by its id."""
    seen = Seen(0)
    assert seen.orders({"1": b"a", "2": b"b"}) == ([b"a", b"b"], [])
    assert seen.orders({"1": b"a", "2": b"c"}) == ([b"c"], [])
    assert seen.orders({"2": b"c"}) == ([], ["1"])
    assert seen.orders({"2": b"c"}) == ([], [])
    assert seen.orders({"1": b"a"}) == ([b"a"], ["2"])


def test_a_trade_is_news_once_also_one_that_shows_late() -> None:
    """They are asked for from a while before the newest one."""
    seen = Seen(1_000_000)
    assert seen.trades([(1_100_000, b"late")]) == [b"late"]
    assert seen.since_ms == 1_100_000 - OVERLAP_MS
    assert seen.trades([(1_099_000, b"earlier"), (1_100_000, b"late")]) == [b"earlier"]
    assert seen.trades([(1_099_000, b"earlier"), (1_100_000, b"late")]) == []


def test_what_is_older_than_what_is_asked_for_is_forgotten() -> None:
    """Memory does not grow with an account's history, and the moment asked from never moves back."""
    seen = Seen(0)
    seen.trades([(OVERLAP_MS, b"a")])
    seen.trades([(5 * OVERLAP_MS, b"b")])
    assert seen.since_ms == 4 * OVERLAP_MS
    assert seen.trades([]) == []
    assert seen.trades([(OVERLAP_MS, b"a")]) == [b"a"]
    assert seen.since_ms == 4 * OVERLAP_MS
