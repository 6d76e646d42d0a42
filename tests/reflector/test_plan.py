"""The words of the command line, and what they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from probe.model.errors import ColibriError, ConfigError, UsageError
from probe.reflector import plan
from probe.reflector.plan import WELL_KNOWN, Plan


def make(state: Path, **words: Any) -> Plan:
    return plan.make(state=str(state), **({"listen": "203.0.113.190"} | words))


def test_the_least_that_can_be_said(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert (made.listen, made.ports, made.silent, made.peers) == (("203.0.113.190",), WELL_KNOWN, (), {})
    assert len(set(made.random)) == 4
    assert all(10_000 <= port < 32_000 for port in made.random)
    assert made.files[0].is_file()


def test_its_random_ports_are_its_own_and_stay(tmp_path: Path) -> None:
    assert make(tmp_path / "a").random == make(tmp_path / "a").random != make(tmp_path / "b").random


def test_all_that_can_be_said(tmp_path: Path) -> None:
    key = tmp_path / "peer.key"
    key.write_text("0123456789abcdef\n")
    made = make(
        tmp_path, listen="203.0.113.190, 2001:DB8:C0:0::90,203.0.113.191", silent="203.0.113.191", public="192.0.2.9",
        name="reflector.example", zone="R.example.", ports="53,443,53", random_ports=0,
        peers=["host=203.0.113.10", "2001:db8::1"], peer_key=str(key),
    )  # fmt: skip
    assert made.listen == ("203.0.113.190", "2001:db8:c0::90")
    assert (made.silent, made.public, made.zone) == (("203.0.113.191",), ("192.0.2.9",), "r.example")
    assert (made.ports, made.random) == ((53, 443), ())
    assert made.peers == {"host": "203.0.113.10", "2001:db8::1": "2001:db8::1"}
    assert len(made.peer_key) == 32


@pytest.mark.parametrize(
    "words",
    [
        {"listen": "reflector.example"}, {"ports": "x"}, {"ports": "0"},
        {"ports": "65536"},
        {"ports": ",".join(map(str, range(1, 200)))}, {"random_ports": -1}, {"random_ports": 101}, {"name": "a..b"},
        {"zone": "x" * 64}, {"peers": ["host"]}, {"peers": ["host="]}, {"peers": ["203.0.113.10"]},
    ],
)  # fmt: skip
def test_wrong_words_are_named(tmp_path: Path, words: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make(tmp_path, **words)


def test_without_an_address_it_may_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(ColibriError, match="no address") as raised:
        make(tmp_path, silent="203.0.113.190")
    assert raised.value.exit_status == 1


def test_a_key_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("secret\n")
    for file in ("short", "absent"):
        with pytest.raises(ConfigError, match=file):
            make(tmp_path, peers=["203.0.113.10"], peer_key=str(tmp_path / file))


def test_a_certificate_may_be_given(tmp_path: Path) -> None:
    files = make(tmp_path).files
    made = make(tmp_path / "other", certificate_file=str(files[0]), key_file=str(files[1]))
    assert made.files == files
    assert not (tmp_path / "other").exists()


def test_own_addresses_are_those_that_others_reach() -> None:
    for address in plan.own_addresses():
        assert not address.startswith(("127.", "169.254.", "fe80:"))
        assert address != "::1"
