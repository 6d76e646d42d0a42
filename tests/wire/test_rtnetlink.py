"""Routes and addresses in the kernel's messages; pyroute2 is the oracle."""

from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from probe.model.errors import MalformedPacket
from probe.wire import rtnetlink
from probe.wire.rtnetlink import Address, Message, Route

V4, V6 = st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)


def encoded(message: rtmsg | ifaddrmsg) -> bytes:
    message.encode()
    return bytes(message.data)


def body(data: bytes) -> bytes:
    (one,) = rtnetlink.messages(data)
    return one.body


def a_route(family: int = 2, kind: int = 1, attributes: tuple[tuple[str, object], ...] = (), length: int = 0) -> rtmsg:
    made = rtmsg()
    made["family"], made["dst_len"], made["table"], made["type"] = family, length, 254, kind
    made["attrs"] = list(attributes)
    return made


@given(V4 | V6, st.integers(1, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(256, 2**32 - 1))
def test_a_route_that_pyroute2_wrote(gateway: str, interface: int, priority: int, table: int) -> None:
    family = 10 if ":" in gateway else 2
    made = a_route(family, attributes=(("RTA_TABLE", table), ("RTA_GATEWAY", gateway), ("RTA_OIF", interface),
                                       ("RTA_PRIORITY", priority)))  # fmt: skip
    assert rtnetlink.route(body(encoded(made))) == Route(
        family=family, length=0, table=table, interface=interface, gateway=str(ipaddress.ip_address(gateway)),
        priority=priority,
    )  # fmt: skip


def test_of_several_next_hops_the_first() -> None:
    hops = [{"oif": 7, "hops": 0, "attrs": [("RTA_GATEWAY", "192.0.2.1")]},
            {"oif": 8, "hops": 0, "attrs": [("RTA_GATEWAY", "192.0.2.2")]}]  # fmt: skip
    found = rtnetlink.route(body(encoded(a_route(attributes=(("RTA_MULTIPATH", hops),)))))
    assert found == Route(family=2, length=0, table=254, interface=7, gateway="192.0.2.1")


def test_a_gateway_of_the_other_family() -> None:
    via = struct.pack("=HHH", 6 + 16, 18, 10) + ipaddress.ip_address("fe80::1").packed  # RTA_VIA: family, address
    plain = body(encoded(a_route(attributes=(("RTA_OIF", 3),))))
    found = rtnetlink.route(plain + via)
    assert found == Route(family=2, length=0, table=254, interface=3, gateway="fe80::1")


@pytest.mark.parametrize(("family", "kind"), [(2, 7), (10, 7), (2, 2), (7, 1)])
def test_what_leads_nowhere_is_no_route(family: int, kind: int) -> None:
    assert rtnetlink.route(body(encoded(a_route(family, kind, (("RTA_OIF", 1),))))) is None


@given(V4 | V6, st.integers(1, 2**31 - 1), st.sampled_from([0, 253, 254]))
def test_an_address_that_pyroute2_wrote(text: str, interface: int, scope: int) -> None:
    made = ifaddrmsg()
    made["family"], made["prefixlen"], made["scope"], made["index"] = (10 if ":" in text else 2), 24, scope, interface
    made["attrs"] = [("IFA_ADDRESS", text)]
    assert rtnetlink.address(body(encoded(made))) == Address(interface, scope, str(ipaddress.ip_address(text)), 24)


def test_of_a_point_to_point_link_our_own_end() -> None:
    made = ifaddrmsg()
    made["family"], made["prefixlen"], made["index"] = 2, 32, 4
    made["attrs"] = [("IFA_ADDRESS", "192.0.2.1"), ("IFA_LOCAL", "192.0.2.2")]
    assert rtnetlink.address(body(encoded(made))) == Address(4, 0, "192.0.2.2", 32)


def test_of_no_address_nothing() -> None:
    made = ifaddrmsg()
    made["family"] = 2
    assert rtnetlink.address(body(encoded(made))) is None


def test_the_requests() -> None:
    assert rtnetlink.dump(rtnetlink.GET_ROUTE, 5, 2) == struct.pack("=IHHIIB11x", 28, 26, 0x301, 5, 0, 2)
    assert rtnetlink.dump(rtnetlink.GET_ADDRESS, 6) == struct.pack("=IHHIIB7x", 24, 22, 0x301, 6, 0, 0)


def test_several_messages_in_one_datagram() -> None:
    data = struct.pack("=IHHII", 17, 24, 2, 9, 0) + b"a" + bytes(3) + struct.pack("=IHHII", 20, 3, 2, 9, 0) + bytes(4)
    assert list(rtnetlink.messages(data)) == [Message(24, 9, b"a"), Message(3, 9, bytes(4))]


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_bytes(data: bytes, rest: bytes) -> None:
    whole = encoded(a_route(attributes=(("RTA_OIF", 3), ("RTA_GATEWAY", "192.0.2.1"))))
    for one in (data, whole[: len(data)], whole + data):
        with contextlib.suppress(MalformedPacket):
            list(rtnetlink.messages(one))
    for read in (rtnetlink.route, rtnetlink.address):
        for one in (data, body(whole)[: len(rest)] + data, body(whole)[:12] + rest):
            with contextlib.suppress(MalformedPacket):
                read(one)
