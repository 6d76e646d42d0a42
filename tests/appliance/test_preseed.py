"""What Raspberry Pi Imager writes is honoured, and what a person wrote goes first."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.preseed import appliance_tables, under, wants_password
from probe.appliance.settings import Settings, understand

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0exampleexampleexampleexampleexample test"
WRITTEN = f"""
config_version = "1.0"
[system]
hostname = "Volunteer-7"
[user]
name = "amina"
password = "$6$x$y"
password_encrypted = true
[ssh]
enabled = true
password_authentication = true
authorized_keys = ["{KEY}", ""]
[wlan]
ssid = "Haus \\"am\\" See"
password = "{"0123456789abcdef" * 4}"
password_encrypted = true
hidden = true
country = "DE"
"""


def test_imager_s_own_file() -> None:
    raw = tomllib.loads(WRITTEN)
    found = understand(dict(appliance_tables(raw)))
    assert isinstance(found, Settings)
    appliance = found.appliance
    assert (appliance.device.hostname, appliance.ssh.user, appliance.ssh.keys) == ("volunteer-7", "amina", [KEY])
    assert (appliance.wifi.ssid, appliance.wifi.country, appliance.wifi.hidden) == ('Haus "am" See', "DE", True)
    assert len(appliance.wifi.password) == 64
    assert wants_password(raw)


def test_ssh_that_is_off_stays_off() -> None:
    raw = tomllib.loads(WRITTEN.replace("enabled = true", "enabled = false"))
    assert "ssh" not in appliance_tables(raw)


def test_a_name_in_hexadecimal() -> None:
    assert appliance_tables({"wlan": {"ssid_hex": "4c6976"}})["wifi"]["ssid"] == "Liv"
    assert appliance_tables({"wlan": {"ssid_hex": "ff"}}) == {}


def test_what_a_person_wrote_goes_first() -> None:
    tables = {"wifi": {"ssid": "imager"}, "device": {"hostname": "imager"}}
    merged = under({"wifi": {"ssid": "mine"}, "device": {"hostname": ""}, "line": {"asn": 1}}, tables)
    assert merged == {"wifi": {"ssid": "mine"}, "device": {"hostname": "imager"}, "line": {"asn": 1}}


VALUE = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)
KEYS = st.sampled_from(["hostname", "name", "authorized_keys", "enabled", "ssid", "ssid_hex", "password", "hidden"])
TABLES = st.sampled_from(["system", "user", "ssh", "wlan"])


@given(st.dictionaries(TABLES, st.dictionaries(KEYS, VALUE) | VALUE))
def test_odd_files_break_nothing(raw: dict[str, Any]) -> None:
    for content in appliance_tables(raw).values():
        assert all(content.values()) or "hidden" in content
