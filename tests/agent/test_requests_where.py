"""Destinations before anything is sent: right ones pass, however they are written, and nothing odd gets by."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.agent.requests_where import check
from probe.engine.guard import FORBIDDEN, Guard, networks
from probe.model.errors import CannotMeasure, ForbiddenDestination, UsageError

GUARD = Guard()


@pytest.mark.parametrize("options", [
    {"target": "https://press.example/a?b=10.0.0.1"}, {"target": "press.example"}, {"target": "93.184.216.34"},
    {"target": "93.184.216.34:443"}, {"target": "[2a00:1450::1]:443"}, {"target": "2a00:1450::1"},
    {"target": "https://[2a00:1450::1]:8443/"}, {"target": "93.184.216.0/24"}, {"target": "xn--mgbh0fb.xn--kgbechtv"},
    {"target": "موقع.وزارة-الاتصالات.مصر"}, {"target": "press.example."}, {"target": "cafe.babe.example"},
    {"relays": ["stun:stun.example@9.9.9.9:3478", "turn:turn.example", "udp:9.9.9.9:5004", "tls:[2a00::1]:443"]},
    {"siblings": "9.9.9.9, 8.8.8.8"}, {"trigger": "tls", "group": "localhost"}, {"ports": "80,443", "trials": 3},
    {"names": ["a.example", "b.example"], "locate": True},
])  # fmt: skip
def test_what_anybody_may_ask_passes(options: dict[str, object]) -> None:
    check(options, GUARD)


@given(st.sampled_from([network for network, _ in FORBIDDEN]), st.integers(0, 2**128 - 1), st.sampled_from(
    ["{}", "http://{}/", "{}:443", "x.example,{}"]))  # fmt: skip
def test_no_forbidden_address_passes_in_any_dress(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, number: int, dress: str
) -> None:
    address = network[number % network.num_addresses]
    text = str(address) if address.version == 4 or dress in ("{}", "x.example,{}") else f"[{address}]"
    with pytest.raises((ForbiddenDestination, UsageError)):
        check({"target": dress.format(text)}, GUARD)


@given(st.integers(0, 2**32 - 1))
def test_c_s_spellings_mean_what_they_mean_to_c(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    allowed = True
    try:
        GUARD.check(str(address))
    except CannotMeasure:
        allowed = False
    for text in (str(number), hex(number), ".".join(f"0{octet:o}" for octet in address.packed)):
        try:
            check({"target": text}, GUARD)
        except CannotMeasure:
            assert not allowed, text
        else:
            assert allowed, text


@given(st.text(max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    with contextlib.suppress(CannotMeasure, UsageError):
        check({"target": text, "options": [text]}, GUARD)


def test_a_range_that_this_device_opened_is_open() -> None:
    check({"target": "http://203.0.113.7/"}, Guard(networks(["203.0.113.0/24"])))


def test_own_addresses_and_subnets() -> None:
    guard = Guard((), frozenset({"9.9.9.1"}), networks(["9.9.9.0/24"]))
    for text in ("9.9.9.1", "9.9.9.77", "http://9.9.9.77/"):
        with pytest.raises(ForbiddenDestination):
            check({"target": text}, guard)
