"""The wire tap reads what a websocket's client says, however its frames are cut."""

import secrets

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from benchmarks.tap import unmasked


def framed(said: bytes) -> bytes:
    """A frame as a client sends it, masked."""
    return Frame(Opcode.TEXT, said).serialize(mask=True)


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(0, 4), st.data())
def test_frames_come_out_whole_and_in_order_wherever_they_were_cut(
    said: list[bytes], large: int, data: st.DataObject
) -> None:
    """Short ones, long ones of both kinds of length, cut anywhere."""
    said = [*said, *(secrets.token_bytes(size) for size in (126, 65_535, 65_536, 70_000)[:large])]
    wire = b"".join(framed(one) for one in said)
    cut = data.draw(st.integers(0, len(wire)))
    held, found = bytearray(), list[bytes]()
    for part in (wire[:cut], wire[cut:]):
        held += part
        found += unmasked(held)
    assert found == said
    assert not held
