"""Nothing in a network's name or password can become wpa_supplicant's syntax."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.settings import Wifi
from probe.appliance.wifi import configuration


@given(st.text(max_size=32), st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63))
def test_every_name_and_password_stays_in_its_line(ssid: str, password: str) -> None:
    lines = configuration(Wifi(ssid, password, "MA")).splitlines()
    assert len(lines) == 10
    assert lines[3] == f"  ssid={ssid.encode().hex()}"
    assert lines[5] == f'  psk="{password}"'
    assert lines[1] == "country=MA"


def test_a_key_an_open_network_a_hidden_one() -> None:
    assert f"  psk={'0f' * 32}\n" in configuration(Wifi("x", "0f" * 32))
    assert "key_mgmt=NONE" in configuration(Wifi("x"))
    assert re.search("scan_ssid=1", configuration(Wifi("x", hidden=True)))


@pytest.mark.parametrize("password", ["short", "Pässwörter", "a\nb" * 4])
def test_a_password_that_there_can_t_be(password: str) -> None:
    with pytest.raises(ValueError, match="8 to 63"):
        configuration(Wifi("x", password))
