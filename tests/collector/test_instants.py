"""Instants: text and milliseconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import instants


def test_the_epoch_and_a_known_date() -> None:
    assert instants.from_text("1970-01-01T00:00:00.001Z") == 1
    assert instants.from_text("2001-09-09T01:46:40.000Z") == 1_000_000_000_000


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_text_and_back_loses_no_millisecond(at: int) -> None:
    assert instants.from_text(instants.to_text(at)) == at


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00.000Z", "2026-02-30T00:00:00.000Z", "0000-00-00T00:00:00.000Z"])
def test_a_date_that_no_calendar_has(text: str) -> None:
    with pytest.raises(ValueError, match=r"month|day|year"):
        instants.from_text(text)
