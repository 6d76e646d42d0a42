"""``colibri.toml`` as volunteers write it, with the mistakes that they make."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.settings import Mistake, Settings, of_error, read, understand
from probe.model.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "deploy/image/fat/colibri.toml"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0exampleexampleexampleexampleexample someone@home"


def settings(text: str) -> Settings | Mistake:
    raw = read(text.encode())
    return raw if isinstance(raw, Mistake) else understand(raw)


def test_the_shipped_file_is_correct_and_says_nothing() -> None:
    found = settings(SHIPPED.read_text())
    assert isinstance(found, Settings)
    assert found.appliance.wifi.ssid == ""
    assert not any(found.daemon.values())


def test_every_line_of_the_shipped_file_can_be_switched_on() -> None:
    lines = [line.removeprefix("#") if line.startswith("#") and line[1:2] not in (" ", "=") else line
             for line in SHIPPED.read_text().splitlines()]  # fmt: skip
    text = "\n".join(lines).replace("ssh-ed25519 AAAA… name", KEY)
    found = settings(text)
    assert isinstance(found, Settings), found
    assert found.appliance.ssh.keys == [KEY]
    assert set(found.daemon) == {"enrol", "line"}
    assert len(tomllib.loads(text)) == 6


def test_it_speaks_three_languages() -> None:
    text = SHIPPED.read_text()
    asked = text.count("\n[")
    assert [text.count(f"# {language}  ") for language in ("FR", "AR", "EN")] == [asked + 1] * 3


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[wifi]\nssid = Livebox", Mistake("colibri.toml", "unreadable", "2")),
        ("[wifi]\nsid = 'x'", Mistake("colibri.toml", "unknown", "wifi.sid", "", "ssid")),
        ("[wfi]\nssid = 'x'", Mistake("colibri.toml", "unknown", "wfi", "", "wifi")),
        ("[wifi]\nssid = 7", Mistake("colibri.toml", "value", "wifi.ssid", "Expected `str`, got `int`")),
        ("wifi = 'x'", Mistake("colibri.toml", "value", "wifi", "Expected `object`, got `str`")),
    ],
)
def test_mistakes_are_placed(text: str, mistake: Mistake) -> None:
    found = settings(text)
    assert isinstance(found, Mistake)
    assert (found.kind, found.where, found.near) == (mistake.kind, mistake.where, mistake.near)
    assert mistake.what in found.what


@pytest.mark.parametrize("text", ["[ssh]\nkeys = ['not a key']", "[device]\nhostname = 'Ma Sonde'",
                                  "[ssh]\nuser = 'root; rm'", "[update]\nurl = 'ftp://x/'",
                                  "[wifi]\ncountry = 'Maroc'"])  # fmt: skip
def test_values_that_would_do_harm_are_refused(text: str) -> None:
    found = settings(text)
    assert isinstance(found, Mistake)
    assert found.kind == "value"


def test_what_editors_of_windows_add_is_no_mistake() -> None:
    raw = read(b"\xef\xbb\xbf[wifi]\r\nssid = 'x'\r\n")
    assert raw == {"wifi": {"ssid": "x"}}


def test_a_file_in_another_encoding_is_placed() -> None:
    found = read("[line]\noperator = 'Télécom'\n".encode("latin-1"))
    assert isinstance(found, Mistake)
    assert found.where == "2"


@given(st.binary(max_size=200))
def test_no_bytes_break_it(junk: bytes) -> None:
    raw = read(junk)
    if not isinstance(raw, Mistake):
        assert isinstance(understand(raw), Settings | Mistake)


def test_the_daemon_s_own_rules_speak_through_it() -> None:
    error = ConfigError("/etc/colibri/candidate.toml: mqtt.hst", "there is no such option; did you mean 'host'?")
    assert of_error(error) == Mistake(
        "colibri.toml", "unknown", "mqtt.hst", "there is no such option; did you mean 'host'?", "host"
    )
