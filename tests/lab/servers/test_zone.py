"""What a resolver answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.lab.kinds import Resolver
from probe.lab.servers.zone import Zone
from probe.wire import dns

NAMES = {"press.example": ("203.0.113.10", "2001:db8:a0::10")}


def ask(zone: Zone, name: str, qtype: int = dns.A, *, stream: bool = False, client: str = "") -> dns.Message:
    return zone.answer(dns.decode(dns.query(name, 5, qtype)), stream=stream, client=client)


def changed(**how: Any) -> Zone:
    return Zone(NAMES, [Resolver(at="x", **how)])


@pytest.mark.parametrize(
    ("name", "qtype", "answer"),
    [
        ("press.example", dns.A, ["203.0.113.10"]),
        ("WWW.press.EXAMPLE", dns.A, ["203.0.113.10"]),
        ("press.example", dns.AAAA, ["2001:db8:a0::10"]),
        ("press.example", dns.TXT, []),
    ],
)
def test_known_names_are_answered_by_type(name: str, qtype: int, answer: list[str]) -> None:
    message = ask(Zone(NAMES), name, qtype)
    assert (message.rcode, [record.text for record in message.answers]) == (dns.NOERROR, answer)


def test_unknown_names_do_not_exist() -> None:
    assert ask(Zone(NAMES), "nobody.example").rcode == dns.NXDOMAIN
    assert ask(Zone(NAMES), "sub.press.example").rcode == dns.NXDOMAIN
    rewritten = ask(changed(unknown="198.18.0.80"), "nobody.example")
    assert (rewritten.rcode, [record.text for record in rewritten.answers]) == (dns.NOERROR, ["198.18.0.80"])


@pytest.mark.parametrize(
    ("answer", "rcode", "texts"),
    [
        ("198.18.0.99", dns.NOERROR, ["198.18.0.99"]), ("nxdomain", dns.NXDOMAIN, []), ("empty", dns.NOERROR, []),
        ("refused", dns.REFUSED, []), ("servfail", dns.SERVFAIL, []),
    ],
)  # fmt: skip
def test_a_lie_is_about_the_name_and_all_below(answer: str, rcode: int, texts: list[str]) -> None:
    lie = Resolver(at="x", names=("press.example",), answer=answer)
    zone = Zone(NAMES | {"control.example": ("203.0.113.180",)}, [lie])
    for name in ("press.example", "a.press.example"):
        message = ask(zone, name)
        assert (message.rcode, [record.text for record in message.answers]) == (rcode, texts)
        assert zone.lies_about(name)
    assert [record.text for record in ask(zone, "control.example").answers] == ["203.0.113.180"]
    assert not zone.lies_about("control.example")


def test_a_lie_has_two_families_and_may_be_about_everything() -> None:
    zone = changed(names=("*",), answer="198.18.0.99", answer6="2001:db8::99")
    assert [ask(zone, "any.thing", qtype).answers[0].text for qtype in (dns.A, dns.AAAA)] == [
        "198.18.0.99", "2001:db8::99",
    ]  # fmt: skip
    assert ask(changed(names=("*",)), "any.thing", dns.AAAA).answers == ()


def test_truncation_spares_streams() -> None:
    zone = changed(truncate=True)
    assert (ask(zone, "press.example").truncated, ask(zone, "press.example").answers) == (True, ())
    assert ask(zone, "press.example", stream=True).answers[0].text == "203.0.113.10"


def test_addresses_take_turns() -> None:
    zone = changed(rotate=("198.51.100.1", "198.51.100.2"))
    assert [ask(zone, "press.example").answers[0].text for _ in range(4)] == ["198.51.100.2", "198.51.100.1"] * 2


def test_strangers_are_refused() -> None:
    zone = changed(serves=("198.18.10.0/24", "2001:db8:10::/48"))
    rcodes = [ask(zone, "press.example", client=client).rcode for client in ("198.18.10.100", "198.18.20.100", "")]
    assert rcodes == [dns.NOERROR, dns.REFUSED, dns.REFUSED]


def test_no_question_is_a_format_error() -> None:
    assert Zone(NAMES).answer(dns.Message(7), stream=False).rcode == dns.FORMERR


@pytest.mark.parametrize(("name", "rcode"), [("id.server", dns.NOERROR), ("hostname.bind", dns.NOERROR),
                                              ("version.bind", dns.REFUSED)])  # fmt: skip
def test_it_says_who_it_is(name: str, rcode: int) -> None:
    query = dns.Message(5, questions=(dns.Question(name, dns.TXT, dns.CH),))
    for zone, identity in ((Zone(NAMES, identity="node"), "node"), (changed(identity="other"), "other")):
        found = zone.answer(query, stream=False)
        assert found.rcode == rcode
        assert [record.text for record in found.answers] == ([identity] if rcode == dns.NOERROR else [])


def test_nsid_is_given_if_asked_for() -> None:
    edns = dns.Record(".", dns.OPT, 1232, 0, bytes.fromhex("00080000 00030000".replace(" ", "")))
    query = msgspec.structs.replace(dns.decode(dns.query("press.example", 5)), additional=(edns,))
    (answer,) = Zone(NAMES, identity="node").answer(query, stream=False).additional
    assert answer.data == b"\0\3\0\4node"
    plain = msgspec.structs.replace(query, additional=(msgspec.structs.replace(edns, data=b""),))
    assert Zone(NAMES, identity="node").answer(plain, stream=False).additional[0].data == b""
