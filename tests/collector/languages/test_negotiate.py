"""Accept-Language, as browsers send it and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.languages.language import CODES
from probe.collector.languages.negotiate import preferred


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-MA,fr;q=0.9,ar;q=0.8", "fr"),
        ("AR-dz;q=0.9, en;q=0.8", "ar"),
        ("de, es;q=0.9", "en"),
        ("de, ar;q=0.1", "ar"),
        ("fr;q=0, de", "en"),
        ("fr;q=0.2, en;q=0.3, ar;q=0.25", "en"),
        ("ar,fr", "ar"),
        ("*", "en"),
        ("fr;q=nan, ar;q=2, en;q=0.1", "en"),
        ("fr;q=1.000", "fr"),
        ("french, arabic", "en"),
    ],
)
def test_the_language_that_is_liked_best(header: str, code: str) -> None:
    assert preferred(header) == code


@given(st.text(st.characters(max_codepoint=0x2FF) | st.sampled_from("frae,;q=.01 -*²"), max_size=60))
def test_any_text_gives_one_of_ours(header: str) -> None:
    assert preferred(header) in CODES
