"""What a gateway has in hand: taken once, and amends that wait tried ever more seldom, the newest alone."""

from itertools import pairwise

from consumers.in_hand import AGAIN_MAX_MS, AGAIN_MIN_MS, InHand
from streams.clock import SystemClock
from streams.plans import ClaimItem
from streams.reader import Entry


class Told(SystemClock):
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.at_ms = 0

    def monotonic_ms(self) -> int:
        """What it was told."""
        return self.at_ms


def delivered(entry: str) -> Entry:
    """An entry as it is delivered, an object of its own each time."""
    return Entry(entry, {b"data": b"an amend"}, redelivered=False)


def amend(entry: str, revision: int = 1, order: str = "an order") -> ClaimItem:
    """The claim of an amend."""
    return ClaimItem(command="amend", entry=entry, token="", client_order_id=order, revision=revision)


def taken(*amends: ClaimItem) -> tuple[Told, InHand]:
    """Amends that were claimed once and are busy."""
    clock = Told()
    hand = InHand(clock)
    hand.take([delivered(one.entry) for one in amends])
    for one in amends:
        hand.wait(one)
    return clock, hand


def tries(clock: Told, hand: InHand, busy: ClaimItem, until_ms: int) -> list[int]:
    """When an amend that stays busy is tried."""
    found: list[int] = []
    while clock.at_ms < until_ms:
        clock.at_ms += AGAIN_MIN_MS
        for _ in hand.due():
            found.append(clock.at_ms)
            hand.wait(busy)
    return found


def test_an_entry_is_taken_once_until_it_is_let_go_of() -> None:
    """Handled, being sent or waiting: delivered again, it is nobody else's."""
    hand = InHand(Told())
    assert len(hand.take([delivered("1-0"), delivered("2-0")])) == 2
    assert not hand.take([delivered("1-0")])
    sending = hand.send(["1-0"])
    hand.wait(amend("2-0"))
    assert not hand.take([delivered("1-0"), delivered("2-0")])
    hand.sent(sending)
    hand.drop("2-0")
    assert [entry.id for entry in hand.take([delivered("1-0"), delivered("2-0")])] == ["1-0", "2-0"]


def test_an_amend_that_stays_busy_is_tried_ever_more_seldom() -> None:
    """Twice as long after each try, up to a bound: forty seconds cost two dozen claims."""
    busy = amend("1-0")
    clock, hand = taken(busy)
    found = tries(clock, hand, busy, 40_000)
    pauses = [after - before for before, after in pairwise([0, *found])]
    assert pauses[:6] == [50, 100, 200, 400, 800, 1_600]
    assert set(pauses[6:]) == {AGAIN_MAX_MS}


def test_an_answer_about_its_order_hurries_an_amend() -> None:
    """It is tried at once, and its pauses begin anew."""
    busy = amend("1-0")
    clock, hand = taken(busy)
    tries(clock, hand, busy, 20_000)
    hand.hurry("another order")
    assert not tries(clock, hand, busy, 20_050)
    hand.hurry(busy.client_order_id)
    assert tries(clock, hand, busy, 20_300) == [20_100, 20_150, 20_250]


def test_a_venue_that_says_when_is_not_asked_before() -> None:
    """Throttled: its own time counts where it is the longer one."""
    clock, hand = taken(amend("1-0"))
    hand.wait(amend("1-0"), 5_000)
    clock.at_ms = 4_999
    assert not hand.due()
    clock.at_ms = 5_000
    assert len(hand.due()) == 1


def test_of_several_amends_of_an_order_the_newest_is_tried_until_it_is_decided() -> None:
    """The others wait for that; an amend of another order does not."""
    clock, hand = taken(amend("1-0", 1), amend("2-0", 3), amend("3-0", 2), amend("4-0", 1, "another order"))
    clock.at_ms = AGAIN_MIN_MS
    assert [entry.id for entry in hand.due()] == ["2-0", "4-0"]
    clock.at_ms = 10 * AGAIN_MAX_MS
    assert not hand.due()  # they are being tried
    hand.sent(hand.send(["2-0"]))
    assert [entry.id for entry in hand.due()] == ["3-0"]


def test_who_handled_an_entry_before_it_waited_has_no_say_in_it_when_it_is_tried_again() -> None:
    """Its batch goes on after Redis was away: what another one has taken up is left out of it."""
    hand = InHand(clock := Told())
    batch = hand.take([delivered("1-0"), delivered("2-0")])
    hand.wait(amend("1-0"))
    clock.at_ms = AGAIN_MIN_MS
    again = hand.due()
    assert [entry.id for entry in hand.unclaimed(batch)] == ["2-0"]
    assert [entry.id for entry in hand.unclaimed(again)] == ["1-0"]


def test_what_is_let_go_of_is_not_tried_again() -> None:
    """Nothing is left behind."""
    clock, hand = taken(amend("1-0"))
    hand.drop("1-0")
    clock.at_ms = AGAIN_MAX_MS
    assert not hand.due()
    hand.wait(amend("1-0"))
    assert not hand.due()
    assert "1-0" not in hand
