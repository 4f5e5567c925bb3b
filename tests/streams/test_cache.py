"""The local cache: bounded, counted, and empty after a change of history."""

from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cache import Cache

_steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 12), st.integers(0, 99)),
        st.tuples(st.just("get"), st.integers(0, 12), st.just(0)),
        st.tuples(st.just("drop"), st.integers(0, 12), st.just(0)),
        st.tuples(st.just("drop_all"), st.just(0), st.just(0)),
    ),
    max_size=80,
)


@given(_steps, st.integers(1, 6))
def test_it_behaves_as_a_bounded_dictionary_that_forgets_the_least_recently_used(
    steps: list[tuple[str, int, int]], entries_max: int
) -> None:
    """Any sequence of calls agrees with a plain model, counters included."""
    cache: Cache[int, int] = Cache(entries_max)
    model: OrderedDict[int, int] = OrderedDict()
    hits, misses, evictions, drops = 0, 0, 0, 0
    for verb, key, value in steps:
        if verb == "put":
            cache.put(key, value)
            model[key] = value
            model.move_to_end(key)
            if len(model) > entries_max:
                model.popitem(last=False)
                evictions += 1
        elif verb == "get":
            assert cache.get(key) == model.get(key)
            hits, misses = hits + (key in model), misses + (key not in model)
            if key in model:
                model.move_to_end(key)
        elif verb == "drop":
            cache.drop(key)
            drops += model.pop(key, None) is not None
        else:
            cache.drop_all()
            drops += len(model)
            model.clear()
        assert len(cache) == len(model) <= entries_max
    counters = cache.counters
    assert (counters.hits, counters.misses, counters.evictions, counters.drops) == (hits, misses, evictions, drops)


def test_a_cache_of_nothing_is_refused() -> None:
    """Its bound is at least one entry."""
    with pytest.raises(ValueError, match="at least one entry"):
        Cache(0)
