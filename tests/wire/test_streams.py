from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.wire.streams import reassemble


def test_order_gap_and_wrap() -> None:
    start = 2**32 - 2
    assert reassemble([(2, b"ef"), (start, b"ab"), (0, b"cd")], start) == b"abcdef"
    assert reassemble([(10, b"abc"), (14, b"x")], 10) == b"abc"
    assert reassemble([(14, b"x")], 10) == b""


def test_the_first_copy_of_a_byte_wins() -> None:
    assert reassemble([(1, b"forged"), (1, b"genuine")], 1) == b"forgede"
    assert reassemble([(3, b"XX"), (1, b"abcdef")], 1) == b"abXXef"


def test_what_came_before_the_start_is_cut() -> None:
    assert reassemble([(8, b"abcd")], 10) == b"cd"
    assert reassemble([(4, b"abcd"), (10, b"x")], 10) == b"x"


def test_limit() -> None:
    assert reassemble([(0, b"abc"), (3, b"def"), (2**31 - 1, b"far")], 0, limit=4) == b"abcd"
    assert reassemble([(5, b"x")], 0, limit=4) == b""


@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(-5, 60), st.integers(0, 20)), max_size=20))
def test_against_a_byte_by_byte_model(start: int, cuts: list[tuple[int, int]]) -> None:
    segments, model = [], dict[int, int]()
    for number, (offset, size) in enumerate(cuts):
        payload = bytes([number]) * size
        segments.append(((start + offset) % 2**32, payload))
        for at in range(max(0, offset), offset + size):
            model.setdefault(at, number)
    want = bytearray()
    while len(want) in model and len(want) < 50:
        want.append(model[len(want)])
    assert reassemble(segments, start, limit=50) == bytes(want)
