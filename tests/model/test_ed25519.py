"""Signing keys: RFC 8032's own vectors, by either library; and the form in which a key is kept."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from probe.model.ed25519 import SODIUM, SigningKey, from_pem, library, to_pem

NONE = ("libnothing.so.0",)
# RFC 8032, section 7.1: seed, public key, message, signature.
VECTORS = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     ("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
      "d25bf5f0595bbe24655141438e7a100b")),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     ("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
      "387b2eaeb4302aeeb00d291612bb0c00")),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     ("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
      "4a7c15e9716ed28dc027beceea1ec40a")),
]  # fmt: skip
# RFC 8410, section 10.3.
PEM = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
PEM_SEED = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"


@pytest.fixture(params=[SODIUM, NONE], ids=["libsodium", "OpenSSL"])
def names(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Either library; a system without libsodium has the other one."""
    if request.param == SODIUM and library() is None:
        pytest.skip("libsodium is not installed")
    return tuple(request.param)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_standards_vectors(names: tuple[str, ...], seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(seed), names)
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_both_libraries_give_the_same(seed: bytes, text: bytes) -> None:
    one, other = SigningKey(seed), SigningKey(seed, NONE)
    assert (one.public, one.sign(text)) == (other.public, other.sign(text))


def test_where_there_is_no_libsodium_there_is_none() -> None:
    assert library(NONE) is None


def test_a_key_is_kept_as_every_tool_keeps_it() -> None:
    seed = bytes.fromhex(PEM_SEED)
    assert to_pem(seed) == PEM
    assert from_pem(PEM) == seed
    assert from_pem(b"\n" + PEM.replace(b"\n", b"\r\n")) == seed
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert from_pem(pem) == made.private_bytes_raw()
    assert to_pem(made.private_bytes_raw()) == pem


DAMAGED = st.builds(lambda at, more: PEM[:at] + more + PEM[at:], st.integers(0, 120), st.binary(max_size=4))


@given(st.binary(max_size=120) | DAMAGED)
def test_all_else_is_no_key(data: bytes) -> None:
    seed = from_pem(data)
    assert seed is None or seed.hex() == PEM_SEED


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_its_length(names: tuple[str, ...], seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(seed, names)
