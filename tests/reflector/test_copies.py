"""No copy of what arrived holds an address that could be the home's."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.reflector.copies import masked

OWN = ("203.0.113.190", "2001:db8:c0::90")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"Via: SIP/2.0/UDP 198.51.100.7:5060;rport", b"Via: SIP/2.0/UDP 0.0.0.0:5060;rport"),
        (b"X-Forwarded-For: 198.51.100.7, 10.0.0.1", b"X-Forwarded-For: 0.0.0.0, 10.0.0.1"),
        (b"c=IN IP4 192.168.1.5\r\n", b"c=IN IP4 192.168.1.5\r\n"),
        (b"Via: 1.1 adsl-198-51-100-7.isp.example", b"Via: 1.1 adsl-0.0.0.0.isp.example"),
        (b"Contact: <sip:a@[2001:db8:7::7]:5060>", b"Contact: <sip:a@[::]:5060>"),
        (b"for=\"[2001:DB8:7:0:0:0:0:7]\"", b"for=\"[::]\""),
        (b"Host: 203.0.113.190", b"Host: 203.0.113.190"),
        (b"Host: [2001:db8:c0::90]", b"Host: [2001:db8:c0::90]"),
        (b"c=IN IP6 fd00::5", b"c=IN IP6 fd00::5"),
        (b"::ffff:198.51.100.7", b"::ffff:0.0.0.0"),
        (b"It was 2001:db8:7::7.", b"It was ::."),
        (b"100.64.3.2 169.254.1.1 172.31.0.1 127.0.0.1", b"100.64.3.2 169.254.1.1 172.31.0.1 127.0.0.1"),
        (b"Chrome/12.0.742.112 at 12:30:45 v1.2.3", b"Chrome/12.0.742.112 at 12:30:45 v1.2.3"),
        (b"aa:bb:cc:dd:ee:ff", b"aa:bb:cc:dd:ee:ff"),
    ],
)
def test_public_addresses_go_and_all_else_stays(text: bytes, shown: bytes) -> None:
    assert masked(text, OWN) == (shown, 0 if shown == text else 1)


public = st.one_of(
    st.ip_addresses(network="198.51.100.0/24"), st.ip_addresses(network="2001:db8:7::/48"),
    st.ip_addresses(v=4).filter(lambda a: a.is_global), st.ip_addresses(v=6).filter(lambda a: a.is_global),
)  # fmt: skip


@given(public, st.binary(max_size=40), st.sampled_from([b" ", b"\r\n", b'"', b"<", b"=", b"@", b"/", b"[", b","]))
def test_wherever_it_stands(address: ipaddress.IPv4Address, around: bytes, edge: bytes) -> None:
    text = str(address).encode()
    noise = around.replace(b":", b" ").replace(b".", b" ")
    shown, count = masked(noise + edge + text + edge + noise, OWN)
    assert text not in shown.replace(b"::", b"") or text == b"::"
    assert count >= 1


@given(st.binary(max_size=300))
def test_anything_may_be_copied(data: bytes) -> None:
    shown, count = masked(data, OWN)
    assert count or shown == data


def test_long_ones_are_cut_and_take_no_time() -> None:
    for pattern in (b"1.", b":", b"a:", b"1", b"198.51.100.", b"f" * 39 + b":"):
        shown, _ = masked(pattern * 20_000, OWN)
        assert len(shown) <= 8192
