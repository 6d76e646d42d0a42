"""Calendar months."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.study.months import before, bounds
from probe.model.errors import UsageError
from tests.collector.incidents.stories import at


def test_a_month_ends_where_the_next_begins() -> None:
    assert bounds("2026-01") == (at("2026-01-01"), at("2026-02-01"))
    assert bounds("2025-12") == (at("2025-12-01"), at("2026-01-01"))
    assert bounds("2024-02")[1] - bounds("2024-02")[0] == 29 * 86_400_000


def test_months_before() -> None:
    assert before("2026-02", 4) == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert before("2010-02", 4) == ["2010-01", "2010-02"]


@given(st.text(max_size=10))
def test_junk_is_our_own_error(junk: str) -> None:
    try:
        low, high = bounds(junk)
    except UsageError as error:
        assert "--month" in str(error)  # noqa: PT017 - either is right
    else:
        assert 27 * 86_400_000 < high - low < 32 * 86_400_000


@pytest.mark.parametrize(
    "junk", ["2026-13", "2026-00", "0000-01", "2026-1", "26-01", "2026-01-01", "٢٠٢٦-٠١", "2026-01\n"]
)
def test_no_months(junk: str) -> None:
    with pytest.raises(UsageError):
        bounds(junk)
