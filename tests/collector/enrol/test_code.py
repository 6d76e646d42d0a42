"""Codes: as much chance as they claim, and read right however they are typed."""

from __future__ import annotations

import os
import re

from hypothesis import given
from hypothesis import strategies as st

from probe.collector.enrol.code import digest, make


def test_a_code_can_be_read_out() -> None:
    assert make(lambda n: b"\xff" * n) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    assert make(lambda n: bytes(range(n))) == "000G-40R4-0M30-E209"
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", make(os.urandom))


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_other_chance_is_another_code(one: bytes, other: bytes) -> None:
    assert (make(lambda _: one) == make(lambda _: other)) == (one == other)


@given(st.binary(min_size=10, max_size=10))
def test_how_it_is_typed_does_not_matter(chance: bytes) -> None:
    code = make(lambda _: chance)
    for typed in (code.lower(), code.replace("-", ""), f"  {code.replace('-', ' ')}\n", code.replace("0", "o"),
                  code.replace("1", "l"), code.replace("1", "I")):  # fmt: skip
        assert digest(typed) == digest(code)


@given(st.text(max_size=64))
def test_no_text_is_too_odd(text: str) -> None:
    assert len(digest(text)) == 32
