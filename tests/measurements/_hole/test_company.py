"""Addresses, networks and names as people give them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._hole.company import MOST, Wanted, check_networks, expand, nowhere, prefix, resolve, version
from probe.model.errors import UsageError
from probe.model.exchange import Exchange, Heard, UdpStep
from probe.model.packet import Packet, Udp
from probe.wire import dns


def test_addresses_networks_and_names_each_once() -> None:
    found, names = expand(["192.0.2.1", "192.0.2.0/30", "2001:DB8::A", "Shop.example", "shop.example", "192.0.2.1"])
    assert [one.address for one in found] == ["192.0.2.1", "192.0.2.0", "192.0.2.2", "192.0.2.3", "2001:db8::a"]
    assert [one.listed for one in found] == [True, False, False, False, True]
    assert names == ["shop.example"]


def test_an_address_that_is_given_by_itself_must_answer_though_its_network_is_given_too() -> None:
    found, _ = expand(["192.0.2.0/31", "192.0.2.1"])
    assert found == [Wanted("192.0.2.0", listed=False), Wanted("192.0.2.1", listed=True)]


@pytest.mark.parametrize("text", ["", "here", "a b", "192.0.2", "192.0.2.0/33", "http://a.example/", "1.2.3.4.5", "-"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address, network or name"):
        expand([text])


def test_too_many_are_refused() -> None:
    assert len(expand(["192.0.0.0/22"])[0]) == MOST
    for texts in (["192.0.0.0/21"], ["2001:db8::/64"], ["192.0.0.0/22", "198.51.100.0/24"]):
        with pytest.raises(UsageError, match="split them"):
            expand(texts)


@given(st.text())
def test_nothing_else_is_raised(text: str) -> None:
    try:
        found, names = expand([text])
    except UsageError:
        return
    assert found or names


def test_networks_that_are_routed_by_themselves() -> None:
    assert (prefix("198.51.100.10"), prefix("2001:db8:b0:1::10")) == ("198.51.100.0/24", "2001:db8:b0::/48")
    assert (version("192.0.2.1"), version("::1")) == (4, 6)


@pytest.mark.parametrize(
    ("address", "so"),
    [("10.10.34.34", True), ("127.0.0.1", True), ("198.51.100.1", False), ("fe80::1", True), ("2001:db8::1", False)],
)
def test_addresses_that_lead_nowhere(address: str, so: bool) -> None:
    assert nowhere(address) == so


def answered(step: UdpStep, *addresses: str) -> Heard:
    asked = dns.decode(step.payload)
    records = [dns.record(asked.questions[0].name, asked.questions[0].qtype, a) for a in addresses]
    message = dns.encode(dns.answer(asked, records, dns.NOERROR))
    return Heard(0.1, False, Packet(4, step.address, "0.0.0.0", 55, 17, 99, header=Udp(53, 61440, 99), payload=message))


def test_names_are_resolved_unless_answers_contradict_each_other() -> None:
    part = resolve(["a.example", "b.example", "c.example"], "192.0.2.53", (4,), Random(1))
    batch = next(part)
    replies = [("198.51.100.1", "198.51.100.2"), ("10.0.0.1",), ("198.51.100.3",)]
    exchanges = [
        Exchange(step=step, heard=(answered(step, *addresses),), sent_at=0.0)
        for step, addresses in zip(batch, replies, strict=True) if isinstance(step, UdpStep)
    ]  # fmt: skip
    last = exchanges[2]
    assert isinstance(last.step, UdpStep)
    exchanges[2] = Exchange(step=last.step, heard=(*last.heard, answered(last.step, "203.0.113.9")), sent_at=0.0)
    with pytest.raises(StopIteration) as ended:
        part.send(exchanges)
    assert ended.value.value == {"a.example": ["198.51.100.1", "198.51.100.2"], "b.example": [], "c.example": []}


def test_a_name_is_asked_for_again_where_no_answer_came() -> None:
    part = resolve(["a.example", "b.example"], "192.0.2.53", (4,), Random(1))
    first, second = next(part)
    assert isinstance(second, UdpStep)
    heard = Exchange(step=second, heard=(answered(second, "198.51.100.2"),), sent_at=0.0)
    (again,) = part.send([Exchange(step=first, sent_at=0.0), heard])
    assert isinstance(again, UdpStep)
    with pytest.raises(StopIteration) as ended:
        part.send([Exchange(step=again, heard=(answered(again, "198.51.100.1"),), sent_at=0.0)])
    assert ended.value.value == {"a.example": ["198.51.100.1"], "b.example": ["198.51.100.2"]}


def test_both_versions_are_asked_for() -> None:
    batch = next(resolve(["a.example"], "192.0.2.53", {4, 6}, Random(1)))
    kinds = [dns.decode(step.payload).questions[0].qtype for step in batch if isinstance(step, UdpStep)]
    assert kinds == [dns.A, dns.AAAA]


def test_networks_are_checked() -> None:
    check_networks(["198.51.100.0/24", "2001:db8::/32", "192.0.2.1"])
    with pytest.raises(UsageError, match="no network"):
        check_networks(["a.example"])
