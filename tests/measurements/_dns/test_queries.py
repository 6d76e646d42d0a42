"""DNS queries as steps, and answers out of exchanges."""

from __future__ import annotations

from random import Random

from probe.measurements._dns.queries import Asker, Reply, distinct, replies, shot
from probe.model.exchange import Exchange, Heard, UdpStep
from probe.model.packet import Icmp, Packet, Udp
from probe.wire import dns

SERVER = "203.0.113.53"


def packet(payload: bytes, ttl: int = 56, source: str = SERVER) -> Packet:
    return Packet(4, source, "0.0.0.0", ttl, 17, 28 + len(payload), ident=9, header=Udp(53, 4000, 8), payload=payload)


def answer(step: UdpStep, *addresses: str, rcode: int = dns.NOERROR, truncated: bool = False) -> bytes:
    asked = dns.decode(step.payload)
    records = [dns.record(asked.questions[0].name, dns.A, address) for address in addresses]
    return dns.encode(dns.answer(asked, records, rcode, truncated=truncated))


def exchange(step: UdpStep, *payloads: bytes) -> Exchange:
    heard = tuple(Heard(0.2 + i / 10, False, packet(payload)) for i, payload in enumerate(payloads))
    return Exchange(step=step, heard=(Heard(0.1, True, packet(step.payload)), *heard), sent_at=0.1)


def test_identifiers_never_repeat_and_are_what_answers_are_matched_by() -> None:
    asker = Asker(Random(1), 53)
    steps = [asker.ask("a.example", SERVER, flow="x") for _ in range(500)]
    assert len({step.payload[:2] for step in steps}) == 500
    assert all(step.match == (0, 2) and step.port == 53 for step in steps)


def test_chance_is_the_one_handed_in() -> None:
    first, second = (Asker(Random(7), 53).ask("a.example", SERVER, flow="x") for _ in range(2))
    assert first == second


def test_answers_are_read_in_order_and_noise_is_left_out() -> None:
    step = Asker(Random(1), 53).ask("a.example", SERVER, flow="x")
    got = replies(exchange(step, answer(step, "192.0.2.1"), b"noise", step.payload, answer(step, rcode=dns.NXDOMAIN)))
    assert [(r.rcode, r.says) for r in got] == [(0, {"1 192.0.2.1"}), (3, frozenset())]
    assert [round(r.after, 3) for r in got] == [0.1, 0.4]
    assert got[0].show()["answers"] == ["1 192.0.2.1"]


def test_order_of_records_makes_no_other_answer() -> None:
    step = Asker(Random(1), 53).ask("a.example", SERVER, flow="x")
    one, other = answer(step, "192.0.2.1", "192.0.2.2"), answer(step, "192.0.2.2", "192.0.2.1")
    assert len(distinct(replies(exchange(step, one, other, one)))) == 1
    assert len(distinct(replies(exchange(step, one, answer(step, "192.0.2.3"))))) == 2


def test_nothing_sent_nothing_answered() -> None:
    step = Asker(Random(1), 53).ask("a.example", SERVER, flow="x")
    assert replies(Exchange(step=step)) == []


def test_a_shot_knows_its_twins_router() -> None:
    step = Asker(Random(1), 53).ask("a.example", SERVER, flow="x", ttl=4)
    error = Packet(4, "198.51.0.4", "0.0.0.0", 60, 1, 56, header=Icmp(11, 0, quoted=packet(step.payload)))
    dead = Exchange(step=step, heard=(Heard(0.2, False, error),), sent_at=0.1)
    hit = shot(4, exchange(step, answer(step, "192.0.2.1")), dead)
    assert (hit.elicited, hit.reply_ttl, hit.expired_at, hit.routers) == (True, 56, None, {4: "198.51.0.4"})
    assert shot(4, dead, None).expired_at == "198.51.0.4"


def test_content_is_what_counts() -> None:
    one, other = (Reply(at, ttl, ident, 0, False, frozenset({"x"})) for at, ttl, ident in ((0.1, 60, 1), (0.3, 50, 2)))
    assert one.content == other.content
