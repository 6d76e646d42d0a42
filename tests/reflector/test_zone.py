"""The zone: who asks, names that exist and names that don't; nobody's home is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.reflector import zone
from probe.reflector.zone import Transport, Zone
from probe.wire import dns, reflector
from tests.reflector.worlds import HOME, NOW, OWN, SETTINGS, token

LABEL = reflector.label(token())
RESOLVER = "192.0.2.53"


def ask(
    name: str, kind: int = dns.A, source: str = RESOLVER, *, of: Zone | None = None, transport: Transport = "tcp"
) -> dns.Message:
    query = zone.question(dns.query(name, 7, kind))
    assert query is not None
    answer = (of or Zone(SETTINGS)).answer(query, source, transport, NOW)
    return dns.decode(dns.encode(answer))


def texts(message: dns.Message) -> list[str]:
    return [one.text for one in message.answers]


@pytest.mark.parametrize(
    ("source", "network"),
    [(RESOLVER, "192.0.2.0/24"), ("2001:db8:53:1::53", "2001:db8:53::/48"), (HOME, "self")],
)
def test_whoami_tells_the_network_and_the_home_nothing_but_itself(source: str, network: str) -> None:
    found = reflector.read_whoami(texts(ask(f"{LABEL}.whoami.r.example", dns.TXT, source))[0])
    assert found.network == network
    assert len(found.same) == (0 if network == "self" else 8)


@pytest.mark.parametrize(
    ("source", "kind", "shown"),
    [(RESOLVER, dns.A, ["192.0.2.0"]), (RESOLVER, dns.AAAA, []), ("2001:db8:53::1", dns.AAAA, ["2001:db8:53::"]),
     (HOME, dns.A, ["0.0.0.0"]), (HOME, dns.AAAA, ["::"])],
)  # fmt: skip
def test_whoami_as_an_address(source: str, kind: int, shown: list[str]) -> None:
    assert texts(ask(f"{LABEL}.whoami.r.example", kind, source)) == shown


def test_two_resolvers_of_one_network_are_told_apart() -> None:
    one, two, again = (
        reflector.read_whoami(texts(ask(f"{LABEL}.whoami.r.example", dns.TXT, source))[0])
        for source in (RESOLVER, "192.0.2.54", RESOLVER)
    )
    assert one == again
    assert one.network == two.network
    assert one.same != two.same


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "shown"),
    [
        ("r.example", dns.A, dns.NOERROR, [OWN]),
        ("r.example", dns.NS, dns.NOERROR, ["reflector.example"]),
        ("present.r.example", dns.AAAA, dns.NOERROR, ["2001:db8:c0::90"]),
        ("any.present.r.example", dns.A, dns.NOERROR, [OWN]),
        ("any.present.r.example", dns.TXT, dns.NOERROR, ["present"]),
        ("any.present.r.example", dns.MX, dns.NOERROR, []),
        ("absent.r.example", dns.A, dns.NXDOMAIN, []),
        ("any.absent.r.example", dns.A, dns.NXDOMAIN, []),
        ("whoami.r.example", dns.A, dns.NXDOMAIN, []),
        ("no-token.whoami.r.example", dns.TXT, dns.NXDOMAIN, []),
        ("press.example", dns.A, dns.REFUSED, []),
        ("notr.example", dns.A, dns.REFUSED, []),
    ],
)
def test_names(name: str, kind: int, rcode: int, shown: list[str]) -> None:
    message = ask(name, kind)
    assert (message.rcode, texts(message)) == (rcode, shown)
    assert message.authoritative == (rcode != dns.REFUSED)
    assert not message.recursion_available
    assert not shown or message.answers[0].ttl == 0


def test_the_case_of_the_question_is_kept() -> None:
    name = f"{LABEL.upper()}.wHoAmI.R.example"
    message = ask(name, dns.TXT)
    assert message.questions[0].name == message.answers[0].name == name


def test_the_soa_is_whole() -> None:
    (record,) = ask("r.example", dns.SOA).answers
    assert record.data.startswith(b"\x09reflector\x07example\0")
    assert len(ask("absent.r.example").authority) == 1


def test_other_classes_and_operations_are_refused() -> None:
    chaos = dns.encode(dns.Message(7, questions=(dns.Question("version.r.example", dns.TXT, dns.CH),)))
    status = dns.encode(dns.Message(7, opcode=2, questions=(dns.Question("r.example"),)))
    for data in (chaos, status):
        query = zone.question(data)
        assert query is not None
        assert Zone(SETTINGS).answer(query, RESOLVER, "tcp", NOW).rcode == dns.REFUSED


class TestAskers:
    def test_are_told_to_whom_the_token_belongs(self) -> None:
        here = Zone(SETTINGS)
        for source, transport in ((RESOLVER, "udp"), (RESOLVER, "tcp"), (RESOLVER, "udp"), ("198.51.100.99", "udp")):
            ask(f"{LABEL}.whoami.r.example", dns.A, source, of=here, transport=transport)  # type: ignore[arg-type]
        found = here.asked([LABEL.upper(), "nothing"], reflector.source_key(HOME), NOW)
        assert [(one.network, one.transport, one.count) for one in found] == [
            ("192.0.2.0/24", "udp", 2), ("192.0.2.0/24", "tcp", 1), ("198.51.100.0/24", "udp", 1),
        ]  # fmt: skip
        assert here.asked([LABEL], reflector.source_key("198.51.100.8"), NOW) == ()

    def test_memory_is_bounded(self) -> None:
        here = Zone(SETTINGS)
        for i in range(21_000):
            here._remember(i.to_bytes(12, "big"), here._asker(RESOLVER, bytes(12), NOW), 1, "udp", NOW)
        assert len(here._askers) == 20_000

    def test_what_is_old_is_forgotten(self) -> None:
        here = Zone(SETTINGS)
        ask(f"{LABEL}.whoami.r.example", of=here)
        here._remember(b"another", here._asker(RESOLVER, bytes(12), NOW), 1, "udp", NOW + 301)
        assert len(here._askers) == 1


@given(st.binary(max_size=100))
def test_anything_may_be_asked(data: bytes) -> None:
    for raw in (data, b"\0\7\1\0\0\1\0\0\0\0\0\0" + data):
        query = zone.question(raw)
        if query is not None:
            answer = Zone(SETTINGS).answer(query, RESOLVER, "tcp", NOW)
            assert answer.response
            size = zone.within(answer, len(raw))
            assert size is None or len(size) <= len(raw)


def test_an_answer_that_does_not_fit_says_so() -> None:
    query = zone.question(dns.query("r.example", 7, dns.SOA))
    assert query is not None
    answer = Zone(SETTINGS).answer(query, RESOLVER, "udp", NOW)
    size = len(dns.query("r.example", 7, dns.SOA))
    cut = zone.within(answer, size)
    assert cut is not None
    assert dns.decode(cut).truncated
    assert zone.within(answer, size - 1) is None
    whole = zone.within(answer, 512)
    assert whole is not None
    assert not dns.decode(whole).truncated
