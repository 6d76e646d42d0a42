"""Two libraries, one answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.collector import signatures
from probe.collector.signatures import Claim, genuine
from probe.model import canonical

KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x07")
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the base point (RFC 8032, section 5.1)


def signed(text: bytes) -> Claim:
    return Claim(text, PUBLIC, base64.b64encode(KEY.sign(text)).decode())


@pytest.fixture(params=["libsodium", "OpenSSL"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Either library; a system without libsodium has the other one."""
    if request.param == "OpenSSL":
        monkeypatch.setattr(signatures, "SODIUM", ("libnothing.so.0",))
    signatures._sodium.cache_clear()
    if request.param == "libsodium" and signatures._sodium() is None:
        pytest.skip("libsodium is not installed")
    yield request.param
    signatures._sodium.cache_clear()


def test_a_signature_is_right_or_wrong(library: str) -> None:
    claim = signed(b"text")
    assert genuine(claim)
    assert not genuine(Claim(b"other", claim.key, claim.signature))
    assert not genuine(Claim(claim.text, base64.b64encode(bytes(32)).decode(), claim.signature))
    assert not genuine(Claim(claim.text, claim.key, claim.signature[:-4]))


def test_one_signature_has_one_spelling(library: str) -> None:
    claim = signed(b"text")
    assert genuine(claim)
    for change in (lambda text: f"{text}\n", lambda text: text.rstrip("="), lambda text: f"{text[:5]} {text[5:]}"):
        assert not genuine(Claim(claim.text, change(claim.key), claim.signature))
        assert not genuine(Claim(claim.text, claim.key, change(claim.signature)))
    raw = base64.b64decode(claim.signature)
    larger = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    assert not genuine(Claim(claim.text, claim.key, base64.b64encode(larger).decode())), "RFC 8032, 5.1.7: s < L"


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 95), st.integers(0, 255), st.text(max_size=3))
def test_the_answer_is_that_of_the_other_library(text: bytes, place: int, change: int, tail: str) -> None:
    claim = signed(text)
    both = bytearray(base64.b64decode(claim.key) + base64.b64decode(claim.signature))
    both[place] ^= change
    key, signature = (base64.b64encode(part).decode() for part in (both[:32], both[32:]))
    expected = canonical.verify_bytes(text, key, signature + tail)
    assert genuine(Claim(text, key, signature + tail)) == expected
    assert expected == (change == 0 and not tail)


def test_keys_of_small_order_are_judged_by_openssl_alone() -> None:
    neutral = base64.b64encode(b"\x01" + bytes(31)).decode()
    forged = base64.b64encode(b"\x01" + bytes(63)).decode()
    assert genuine(Claim(b"any", neutral, forged)) == canonical.verify_bytes(b"any", neutral, forged)
