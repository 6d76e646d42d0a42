"""What a certificate says of itself; whatever else it is given, it raises nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._certificate import bears, fingerprint, issuer
from tests.measurements.certificates import made


@pytest.mark.parametrize(
    ("name", "borne"),
    [
        ("press.example", True), ("PRESS.example.", True), ("a.wild.example", True), ("wild.example", False),
        ("a.b.wild.example", False), ("other.example", False), ("203.0.113.10", False), ("example", False),
    ],
)  # fmt: skip
def test_names(name: str, borne: bool) -> None:
    assert bears(made("Somebody", "press.example", "*.wild.example"), name) is borne


def test_one_without_names_bears_none() -> None:
    assert bears(made("Somebody"), "press.example") is False


def test_issuer_and_fingerprint() -> None:
    assert issuer(made("Somebody")) == "CN=Somebody"
    assert fingerprint(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.binary(max_size=200) | st.integers(0, 250).map(lambda cut: made("Somebody", "press.example")[:cut]))
def test_noise_is_unreadable_and_no_crash(data: bytes) -> None:
    assert bears(data, "press.example") is None
    assert issuer(data) == ""


@given(st.integers(0, 300), st.integers(1, 255))
def test_a_broken_certificate_is_no_crash(at: int, flip: int) -> None:
    data = bytearray(made("Somebody", "press.example"))
    data[at % len(data)] ^= flip
    assert bears(bytes(data), "press.example") in (True, False, None)
    assert isinstance(issuer(bytes(data)), str)
