"""Five thousand mutants of each venue's payloads; `make fuzz` feeds two hundred thousand."""

import random

import pytest

from adapters import registry
from tests.fuzz import Target, run, targets
from tests.mutator import Mutant, mutate, seed

COUNT = 5_000
TARGETS = targets()


@pytest.mark.parametrize("venue", registry.names())
def test_no_mutant_of_a_payload_does_harm(venue: str) -> None:
    """No exception escapes any reader, what was cut makes no fact, and every fact is a legal one."""
    target = next((one for one in TARGETS if one.venue == venue), None)
    if target is None:
        pytest.skip("no recorded payloads in payloads; they are read in place and not part of the project")
    assert len(target.seeds) > 50
    seen = run(target, COUNT, 1)
    # A mutator that breaks everything, or nothing, would prove little.
    assert seen["read"] > COUNT / 20
    assert seen["refused"] > COUNT / 5


def test_the_same_seed_makes_the_same_mutants() -> None:
    """A failure can be made again."""
    seeds = [seed("binance.order", b'{"symbol":"BTCUSDT","orderId":1,"fills":[{"qty":"1"}]}')]
    made = [[mutate(random.Random(n), seeds) for n in range(3_000)] for _ in range(2)]
    assert made[0] == made[1]
    assert {mutant.deed for mutant in made[0]} == {"cut", "flip", "replace", "remove", "swap", "add", "twice", "grow"}


@pytest.mark.parametrize("harm", ["raise", "cut"])
def test_a_reader_that_does_harm_is_named(harm: str) -> None:
    """With the mutant that shows it."""

    def feed(mutant: Mutant) -> str:
        if harm == "raise" and mutant.deed == "replace":
            raise KeyError(mutant.deed)
        assert harm != "cut" or not mutant.cut
        return "read"

    seeds = [seed("binance.order", b'{"symbol":"BTCUSDT","orderId":1}')]
    with pytest.raises(AssertionError, match="seed 1 mutant"):
        run(Target("binance", seeds, feed), 200, 1)
