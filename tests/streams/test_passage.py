"""Openings of the gate: the next one is passed, one that was left is not."""

from hypothesis import given
from hypothesis import strategies as st

from streams.passage import LEFT_MAX, Passage

NAMES = st.text(min_size=1, max_size=3)


def test_the_first_opening_is_passed_like_the_one_before() -> None:
    """Nothing was read under another one, so nothing has to be dropped."""
    passage = Passage()
    assert passage.enter("a") == "same"
    assert passage.enter("a") == "same"


def test_the_next_opening_is_said_to_be_another() -> None:
    """The caller drops what it read and comes again."""
    passage = Passage()
    passage.enter("a")
    assert passage.enter("b") == "next"
    assert passage.enter("b") == "same"


def test_an_opening_that_was_left_is_never_passed_again() -> None:
    """And the one it stands in keeps."""
    passage = Passage()
    for opening in ("a", "b", "c"):
        passage.enter(opening)
    assert passage.enter("a") == passage.enter("b") == passage.enter("a") == "left"
    assert passage.current == "c"


@given(st.lists(NAMES, max_size=LEFT_MAX))
def test_no_opening_is_entered_twice(seen: list[str]) -> None:
    """Whatever the servers answer, in whatever order."""
    passage, entered = Passage(), [""]
    for opening in seen:
        if passage.enter(opening) != "left" and entered[-1] != opening:
            entered.append(opening)
        assert passage.current == entered[-1]
    assert len(entered) == len(set(entered))
