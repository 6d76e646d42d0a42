"""What is written is read back the same."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.toml import dump

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
PLAIN = TEXT | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
VALUE = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@given(st.dictionaries(TEXT, VALUE, max_size=5))
def test_it_comes_back(document: dict[str, Any]) -> None:
    assert tomllib.loads(dump(document)) == document


def test_it_looks_as_people_write_it() -> None:
    document = {"mqtt": {"host": "h", "tls": {"ca": "x"}}, "a": 1}
    assert dump(document) == 'a = 1\n[mqtt]\nhost = "h"\n[mqtt.tls]\nca = "x"\n'


def test_other_things_have_no_place() -> None:
    with pytest.raises(TypeError, match="NoneType has no place"):
        dump({"a": None})
