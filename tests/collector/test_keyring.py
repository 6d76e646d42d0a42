"""Whom the collector believes."""

from __future__ import annotations

import base64

import pytest

from probe.collector.keyring import Keyring, canonical_key
from probe.model.errors import ConfigError

ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def test_unsigned_is_believed_until_a_key_is_known() -> None:
    keyring = Keyring({}, {})
    assert keyring.objection("p", "") is None
    assert keyring.pin("p", ONE)
    refusal = keyring.objection("p", "")
    assert refusal is not None
    assert refusal.reason == "unsigned"


def test_the_first_key_is_pinned_and_another_one_refused() -> None:
    keyring = Keyring({}, {"p": ONE})
    assert keyring.objection("p", ONE) is None
    refusal = keyring.objection("p", TWO)
    assert refusal is not None
    assert refusal.reason == "other_key"
    assert not keyring.pin("p", TWO)
    assert keyring.objection("p", ONE) is None


@pytest.mark.parametrize(
    ("probe", "key", "reason"), [("p", TWO, "other_key"), ("p", "", "unsigned"), ("q", ONE, "unknown_probe")]
)
def test_configured_keys_shut_everybody_else_out(probe: str, key: str, reason: str) -> None:
    keyring = Keyring({"p": ONE}, {"q": ONE})
    refusal = keyring.objection(probe, key)
    assert refusal is not None
    assert refusal.reason == reason
    assert keyring.objection("p", ONE) is None
    assert not keyring.pin("q", ONE), "a configured ring pins nothing"


@pytest.mark.parametrize("text", ["not base64!", base64.b64encode(b"short").decode(), ""])
def test_a_configured_key_that_is_none_names_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match=r"collector\.trusted_keys\.p-one"):
        Keyring({"p-one": text}, {})


def test_one_spelling_for_one_key() -> None:
    # The last character of 43 holds two unused bits: four texts decode to the same 32 bytes.
    spelled = ONE[:-2] + chr(ord(ONE[-2]) + 1) + "="
    assert spelled != ONE
    assert canonical_key(spelled) == ONE
