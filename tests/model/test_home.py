"""The page's requests: what they can't hold is what keeps the page from aiming the probe."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.home import Change, Changed, HomeRequest, Look


@pytest.mark.parametrize("kind", [Look, Change])
def test_no_request_has_a_place_for_a_target(kind: type[msgspec.Struct]) -> None:
    fields = {field.name for field in msgspec.structs.fields(kind)}
    assert fields <= {"code", "paused", "categories", "source"}
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"command": kind.__struct_config__.tag, "code": "", "target": "example.com"}, HomeRequest)


@given(
    code=st.text(max_size=64), paused=st.sampled_from([True, False, None]),
    categories=st.dictionaries(st.text(max_size=20), st.booleans(), max_size=5),
)  # fmt: skip
def test_a_change_survives_its_journey(code: str, paused: bool | None, categories: dict[str, bool]) -> None:
    made = Change(code=code, paused=paused, categories=categories)
    assert msgspec.json.decode(msgspec.json.encode(made), type=HomeRequest) == made


def test_an_error_is_not_taken_for_something_that_was_done() -> None:
    assert msgspec.json.decode(b'{"refused": ""}', type=Changed) == Changed("")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"error": "the disk is full", "exit_status": 1}', type=Changed)
