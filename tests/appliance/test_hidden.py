"""Secrets leave the boot partition, whatever they look like, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.hidden import Kept, is_masked, masked, overwrite
from probe.appliance.settings import SECRETS, read

CARD = """# Wi-Fi
[wifi]
ssid = "Haus \\"am\\" See"
password = "geheim \\"so\\" # x"   # stays
[other]
password = "not ours"
[ enrol ]
code='AB-12'
"""


def test_only_the_secrets_change_and_not_the_length() -> None:
    after = masked(CARD.encode(), SECRETS)
    assert len(after) == len(CARD.encode())
    assert after.decode() == CARD.replace('geheim \\"so\\" # x', "*" * 17).replace("AB-12", "*****")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_secret_is_gone(secret: str) -> None:
    quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
    before = f'[wifi]\nssid = "x"\npassword = "{quoted}"\n'.encode()
    raw = read(masked(before, SECRETS))
    assert isinstance(raw, dict)
    assert is_masked(raw["wifi"]["password"])
    assert raw["wifi"]["ssid"] == "x"


@given(st.binary(max_size=200))
def test_no_bytes_break_it(junk: bytes) -> None:
    assert len(masked(junk, SECRETS)) == len(junk)


def test_overwriting_needs_the_same_length(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abcd")
    overwrite(path, b"abcd", b"a**d")
    assert path.read_bytes() == b"a**d"
    with pytest.raises(ValueError, match="another length"):
        overwrite(path, b"a**d", b"a")


NAME = ("wifi", "password")


def test_a_secret_is_kept_given_back_replaced_and_forgotten(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.exchange({"wifi": {"password": "one"}}, [NAME]) == {NAME: "one"}
    assert kept.path(NAME).stat().st_mode & 0o777 == 0o600
    assert kept.exchange({"wifi": {"password": "***"}}, [NAME]) == {NAME: "one"}
    assert kept.exchange({"wifi": {"password": "two"}}, [NAME]) == {NAME: "two"}
    assert kept.exchange({"wifi": {"ssid": "x"}}, [NAME]) == {}
    assert kept.exchange({"wifi": {"password": "***"}}, [NAME]) == {}, "forgotten for good"
