"""Signatures: what they cover, and that nothing mangled passes or raises."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.canonical import canonical, sign, signed_text, signing_bytes, verify
from probe.model.errors import MalformedRecord
from probe.model.finding import Evidence, Finding, Line, Probe, Tally, Target

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def finding(details: dict[str, Any]) -> Finding:
    return Finding(
        id="01900000-0000-7000-8000-000000000001",
        measurement="dns_injection",
        version="1",
        probe=Probe("p-x", "colibri test"),
        line=Line(),
        target=Target("example.com"),
        started_at="2026-01-01T00:00:00.000Z",
        duration_s=1.0,
        clock="synchronised",
        verdict="clean",
        interference=None,
        rule="r",
        trials=Tally(3, 3),
        controls=Tally(2, 2),
        confidence=1.0,
        reasons=["الأسباب"],
        evidence=Evidence(),
        details=details,
    )


def decoded(value: Finding) -> dict[str, Any]:
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return result


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_was_signed_verifies_after_its_way_over_the_wire(details: dict[str, Any]) -> None:
    assert verify(decoded(sign(finding(details), KEY)))


def test_the_signature_covers_every_field_and_names_its_key() -> None:
    signed = decoded(sign(finding({"a": 1}), KEY))
    public = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
    assert signed["signature"]["key"] == public
    assert verify(signed, public)
    assert not verify(signed, base64.b64encode(bytes(32)).decode())
    for name in signed.keys() - {"signature"}:
        assert not verify({**signed, name: "changed"}), name
        assert not verify({k: v for k, v in signed.items() if k != name}), name


def objects(pairs: list[tuple[str, str]]) -> str:
    """A JSON object, spelled with white space, in this order, keys that come twice included."""
    return "{ " + " ,".join(f"{msgspec.json.encode(key).decode()} : {value}" for key, value in pairs) + "}"


NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**18).map(str) | st.sampled_from(["0", "1", "9007199254740991", "9007199254740992"]),
    st.just("") | st.text("0123456789", min_size=1, max_size=20).map(lambda digits: f".{digits}"),
    st.just("") | st.tuples(st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 330)).map(
        lambda parts: "".join(map(str, parts))
    ),
)
TEXTS = st.text(max_size=6) | st.text("\ue000\uffff\U0001f600a\"\\\x00\x1f\x7f\u2028/", max_size=4)
SENT = st.recursive(
    st.sampled_from(["null", "true", "false"]) | NUMBERS | TEXTS.map(lambda text: msgspec.json.encode(text).decode()),
    lambda inner: st.lists(inner, max_size=4).map(lambda some: f"[{', '.join(some)}]")
    | st.lists(st.tuples(TEXTS, inner), max_size=4).map(objects),
    max_leaves=12,
)


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(st.tuples(TEXTS | st.sampled_from(["signature", "id", "details"]), SENT), max_size=5).map(objects))
def test_the_quick_way_gives_what_the_library_gives(sent: str) -> None:
    payload = sent.encode()
    try:
        content = msgspec.json.decode(payload)
    except ValueError:
        with pytest.raises(ValueError, match=r"[a-z]"):
            signed_text(payload)
        return
    try:
        expected = signing_bytes(content)
    except MalformedRecord:
        with pytest.raises(MalformedRecord):
            signed_text(payload)
        return
    text, signature = signed_text(payload)
    assert text == expected
    assert (signature is None) == (content.get("signature") is None)


@settings(max_examples=2 * settings().max_examples)
@given(NUMBERS)
def test_every_spelling_of_a_number_has_one_form(number: str) -> None:
    payload = f'{{"details":{{"n":{number}}},"signature":{{"key":"k"}}}}'.encode()
    try:
        expected = signing_bytes(msgspec.json.decode(payload))
    except (ValueError, MalformedRecord) as error:
        with pytest.raises(type(error)):
            signed_text(payload)
        return
    assert signed_text(payload) == (expected, {"key": "k"})


@pytest.mark.parametrize("payload", [b"[]", b"7", b"null", b'"text"', b"1.5"])
def test_what_is_no_object_has_nothing_to_sign(payload: bytes) -> None:
    with pytest.raises(TypeError, match="object"):
        signed_text(payload)


def test_signing_again_replaces_the_signature() -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
    again = decoded(sign(sign(finding({}), KEY), other))
    assert again == decoded(sign(finding({}), other))
    assert verify(again)


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    assert canonical({"b": 1.0, "a": "é\n", "€": 1e30}) == '{"a":"é\\n","b":1,"€":1e+30}'.encode()
    assert signing_bytes({"b": 2, "signature": {"key": "x"}, "a": 1}) == b'{"a":1,"b":2}'


@pytest.mark.parametrize("details", [{"n": 2**60}, {"s": "\ud800"}, {"o": object()}])
def test_what_has_no_canonical_form_cannot_be_signed(details: dict[str, Any]) -> None:
    with pytest.raises(MalformedRecord):
        sign(finding(details), KEY)


@given(st.dictionaries(st.sampled_from(["key", "value", "x"]), JSON) | JSON)
def test_a_mangled_signature_is_wrong_and_never_raises(signature: Any) -> None:
    assert not verify({**decoded(finding({})), "signature": signature})


def test_an_integer_too_large_for_json_is_wrong_and_never_raises() -> None:
    assert not verify({**decoded(sign(finding({}), KEY)), "details": {"n": 2**70}})


@given(st.integers(0, 63), st.integers(1, 255))
def test_every_bit_of_the_signature_counts(index: int, change: int) -> None:
    signed = decoded(sign(finding({}), KEY))
    value = bytearray(base64.b64decode(signed["signature"]["value"]))
    value[index] ^= change
    signed["signature"]["value"] = base64.b64encode(value).decode()
    assert not verify(signed)
