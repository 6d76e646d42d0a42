"""Reading what resolvers said: kinds of answers, addresses of nobody, servers, who asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._beyond import private
from probe.measurements._locate import Shot
from probe.measurements._resolver.seen import Seen, Swept, Tried, askable, from_message, nowhere, read, tried
from probe.model.exchange import Exchange, Heard, Session, TlsStep, UdpStep
from probe.model.packet import Packet, Udp
from probe.wire import dns
from tests.measurements.certificates import made

SILENT = "203.0.113.200"
QUERY = dns.decode(dns.query("press.example", 7))


def heard(payload: bytes, at: float = 0.02) -> Heard:
    packet = Packet(4, "203.0.113.53", "0.0.0.0", 57, 17, 60, header=Udp(53, 4000, 8), payload=payload)
    return Heard(at, False, packet)


def exchange(*payloads: bytes) -> Exchange:
    step = UdpStep(address="203.0.113.53", port=53, payload=dns.query("press.example", 7))
    return Exchange(step=step, heard=tuple(heard(p) for p in payloads), sent_at=0.01)


@pytest.mark.parametrize(
    ("rcode", "kind"),
    [
        (dns.NOERROR, "empty"), (dns.NXDOMAIN, "nxdomain"), (dns.REFUSED, "refused"), (dns.SERVFAIL, "failure"),
        (9, "failure"),
    ],
)  # fmt: skip
def test_what_an_answer_without_records_is(rcode: int, kind: str) -> None:
    assert from_message(dns.answer(QUERY, rcode=rcode), dns.A).kind == kind


def test_addresses_of_the_type_asked_for_alone_count() -> None:
    records = [
        dns.record("press.example", dns.CNAME, "edge.example"),
        dns.record("edge.example", dns.A, "203.0.113.10", 30),
        dns.record("edge.example", dns.AAAA, "2001:db8::1", 5),
    ]
    answer = from_message(dns.answer(QUERY, records), dns.A, 57, 0.01)
    assert (answer.kind, answer.addresses, answer.lifetime) == ("addresses", frozenset({"203.0.113.10"}), 30)
    assert answer.show()["addresses"] == ["203.0.113.10"]
    assert from_message(dns.answer(QUERY, records[:1]), dns.A).kind == "empty"


def test_a_record_of_the_wrong_length_is_no_address() -> None:
    odd = dns.Record("press.example", dns.A, dns.IN, 60, b"\1\2\3")
    assert from_message(dns.decode(dns.encode(dns.answer(QUERY, [odd]))), dns.A).kind == "empty"


def test_a_whole_answer_counts_before_one_that_was_cut_short() -> None:
    cut = dns.encode(dns.answer(QUERY, truncated=True))
    whole = dns.encode(dns.answer(QUERY, [dns.record("press.example", dns.A, "203.0.113.10")]))
    found = read(exchange(b"no DNS", cut, whole), dns.A)
    assert found is not None
    assert (found.kind, found.truncated, found.ttl) == ("addresses", False, 57)
    assert found.after == pytest.approx(0.01)
    only = read(exchange(cut), dns.A)
    assert only is not None
    assert only.truncated
    assert read(exchange(b"", dns.query("press.example", 7)), dns.A) is None


@given(st.binary(max_size=64))
def test_noise_is_no_answer_and_no_crash(data: bytes) -> None:
    found = read(exchange(dns.encode(dns.answer(QUERY))[:12] + data, data), dns.A)
    assert found is None or found.kind in ("addresses", "nxdomain", "empty", "refused", "failure")


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "239.1.1.1", "255.255.255.255", "::", "::1", "ff02::1"])
def test_where_nobody_is(address: str) -> None:
    assert nowhere(address)
    assert not private(address)
    assert not askable(address, ["203.0.113.53"])


@pytest.mark.parametrize("address", ["10.10.34.34", "172.20.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "fe80::1"])
def test_what_means_something_inside_a_network_only(address: str) -> None:
    assert private(address)
    assert not nowhere(address)
    assert not askable(address, ["203.0.113.53"])


def test_servers_of_a_lab_are_asked_in_a_lab_alone() -> None:
    assert askable("93.184.215.14", ["9.9.9.9"])
    assert askable("2606:2800:21f:cb07:6820:80da:af6b:8b2c", ["", "9.9.9.9"])
    assert askable("198.18.0.99", ["198.18.30.53", ""])
    assert not askable("198.18.0.99", ["9.9.9.9", ""])


def session(**what: object) -> Exchange:
    step = TlsStep(address="203.0.113.10", port=443, server_name="press.example")
    return Exchange(step=step, session=Session(**what), failure="")  # type: ignore[arg-type]


def test_what_a_certificate_proves() -> None:
    assert tried(session(chain=(b"x",), synchronised=True)) == Tried(right=True)
    wrong = tried(session(chain=(b"x",), synchronised=True, distrust="expired"))
    assert (wrong.right, wrong.wrong) == (False, "expired")
    unset = tried(session(chain=(b"x",), distrust="not yet valid"))
    assert (unset.right, unset.trusted_clock, unset.fails) == (False, False, False)
    assert tried(session(chain=(b"x",))).right
    foreign = tried(session(chain=(made("Operator", "page.example"),), distrust="not yet valid"))
    assert (foreign.foreign, foreign.fails) == (True, True)
    own = tried(session(chain=(made("Somebody", "press.example"),), distrust="not yet valid"))
    assert (own.foreign, own.fails) == (False, False)
    none = tried(session(alert="handshake failure"))
    assert (none.right, none.failure, none.trusted_clock) == (False, "handshake failure", True)
    step = TlsStep(address="203.0.113.10", port=443)
    assert tried(Exchange(step=step, failure="refused")).failure == "refused"


def seen() -> Seen:
    return Seen("press.example", "198.18.30.53", "203.0.113.153", "203.0.113.200", "good.example")


def test_a_server_fails_only_where_every_look_could_tell() -> None:
    one = seen()
    bad, good = Tried(right=False, wrong="x"), Tried(right=True)
    unset = Tried(right=False, wrong="x", trusted_clock=False)
    for looks, fails in (([bad] * 3, True), ([bad] * 2, False), ([bad, bad, good], False), ([bad, bad, unset], False)):
        one.odd_servers["203.0.113.99"] = looks
        assert one.fails("203.0.113.99") is fails
        assert one.right("203.0.113.99") is (good in looks)


def test_who_asked_for_our_names() -> None:
    one = seen()
    one.askers["control"] = [{"198.18.30.0/24"}, {"198.18.30.0/24", "8.8.8.0/24"}, set(), {"self"}]
    assert one.resolved_by("control", "198.18.30.53") == (1, 3)
    assert one.resolved_by("silent", "198.18.30.53") == (0, 0)
    assert one.resolved_by("control", "") == (0, 3)


def test_answers_from_right_behind_the_home_may_be_the_home_s() -> None:
    home = {1: "0.0.0.1"}
    for routers, at, beyond in (
        (home, 3, True), (home, 2, False), (home | {2: "10.0.0.1"}, 2, False), (home | {2: "198.51.0.2"}, 2, True),
        (home, 1, False), ({}, 1, False),
    ):  # fmt: skip
        swept = Swept(shots=[Shot(at, True, 60)], twins=[(at, True)], routers=dict(routers))
        assert swept.beyond_home() is beyond
        assert not swept.farther()
        swept.routers[9] = "198.51.0.9"
        assert swept.farther() is beyond


def test_routers_that_are_renamed_from_some_hop_on_show_where_queries_are_turned() -> None:
    found = Swept(address=SILENT, routers={1: "0.0.0.1"})
    near = [(2, "198.18.30.2"), (3, "198.18.30.3"), (4, "198.18.30.4")]
    assert not found.left_home()
    found.died = [(1, "0.0.0.1"), *near, (5, SILENT), (6, SILENT)]
    assert not found.left_home()  # two of them only
    found.died += [(5, SILENT)]
    assert found.left_home()
    found.died = [(1, "0.0.0.1")] * 3 + [(ttl, SILENT) for ttl in (2, 3, 4, 5)]
    assert not found.left_home()  # the home's own translator
    found.died = [*near, *[(3, SILENT)] * 3]
    assert not found.left_home()
