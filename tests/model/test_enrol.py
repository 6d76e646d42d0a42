"""What is said at enrolment: whatever comes in is one of these, or nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.enrol import NAMES_OF_OTHERS, Enrolled, First, Refusal, Renewal
from probe.model.finding import Token


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    for kind in (First, Renewal, Enrolled, Refusal):
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(data, type=kind)


def test_a_request_can_not_ask_for_a_name() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `name`"):
        msgspec.json.decode(b'{"csr": "-----BEGIN X-----\\n", "name": "p-x"}', type=Renewal)


def test_an_answer_may_grow() -> None:
    known = Enrolled(
        name="p-x", certificate="-----BEGIN X-----\n", authority="-----BEGIN X-----\n", now="2026-01-01T00:00:00.000Z",
        renew_after="2026-01-21T00:00:00.000Z", expires="2026-01-31T00:00:00.000Z",
    )  # fmt: skip
    later = {**msgspec.to_builtins(known), "new": 1}
    assert msgspec.json.decode(msgspec.json.encode(later), type=Enrolled) == known


def test_the_names_that_rights_hang_on_could_be_a_probe_s() -> None:
    for name in NAMES_OF_OTHERS:
        assert msgspec.convert(name, Token) == name
