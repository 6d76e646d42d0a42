"""DNS races and sweeps in captures of others: who is believed."""

from __future__ import annotations

import pytest

from probe.measurements._foreign.dns import judge, races
from probe.measurements._foreign.packets import Taken
from probe.model.finding import Judgement
from probe.model.packet import Icmp, Packet, Udp
from probe.wire import dns

ME, SERVER = "192.168.1.2", "203.0.113.153"
FORGED, REAL = "198.18.0.99", "203.0.113.10"


class Tape:
    """Makes a capture, query by query."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.now = 0.0
        self.number = 0

    def query(self, name: str, *answers: tuple[int, str], ttl: int = 64, copies: int = 1, dies_at: str = "") -> Tape:
        self.number += 1
        message = dns.query(name, self.number)
        port = 40000 + self.number
        sent = Packet(4, ME, SERVER, ttl, 17, 60, ident=7, header=Udp(port, 53, 40), payload=message)
        for _ in range(copies):
            self._take(sent)
        if dies_at:
            quoted = Packet(4, ME, SERVER, 1, 17, 60, ident=7, header=Udp(port, 53, 40), payload=message)
            self._take(Packet(4, dies_at, ME, 250, 1, 56, header=Icmp(11, 0, quoted=quoted)))
        for arrived, address in answers:
            records = [dns.record(name, dns.A, address)] if address else []
            back = dns.encode(dns.answer(dns.decode(message), records, dns.NOERROR if address else dns.NXDOMAIN))
            self._take(Packet(4, SERVER, ME, arrived, 17, 80, header=Udp(53, port, 60), payload=back))
        return self

    def _take(self, packet: Packet) -> None:
        self.now += 0.01
        self.taken.append(Taken(self.now, packet))


def only(tape: Tape) -> Judgement:
    (judgement,) = judge(tape.taken)
    return judgement


def good(tape: Tape) -> Tape:
    return tape.query("good.example", (56, "203.0.113.180"))


def raced(first: int, second: int, times: int = 3, name: str = "banned.example") -> Tape:
    tape = good(Tape())
    for _ in range(times):
        tape.query(name, (first, FORGED), (second, REAL))
    return good(tape)


def test_three_races_from_nearer_between_honest_answers() -> None:
    judgement = only(raced(62, 56))
    assert (judgement.verdict, judgement.rule) == ("interfered", "dns_injection/captured-two-answers-on-one-flow")
    assert judgement.interference is not None
    assert (judgement.interference.technique, judgement.interference.placement) == ("dns_injection", "on_path")
    assert (judgement.trials.made, judgement.controls.agreed, judgement.target.address) == (3, 2, SERVER)
    assert 0 < judgement.confidence < 0.6


@pytest.mark.parametrize(
    ("tape", "rule"),
    [
        (raced(62, 56, times=2), "too-few"),
        (raced(56, 56), "same-distance"),
        (raced(58, 56), "same-distance"),
        (raced(56, 62), "same-distance"),
        (raced(64, 56), "from-home"),
        (raced(63, 56), "from-home"),
        (Tape().query("b.example", (62, FORGED), (56, REAL)).query("b.example", (62, FORGED), (56, REAL)).query(
            "b.example", (62, FORGED), (56, REAL)), "no-control"),
        (good(Tape()).query("b.example", (62, FORGED), (56, REAL)).query("b.example", (62, FORGED), (56, REAL)).query(
            "b.example", (62, FORGED), (56, REAL)), "no-control"),
    ],
)  # fmt: skip
def test_each_doubt_has_its_rule(tape: Tape, rule: str) -> None:
    judgement = only(tape)
    assert (judgement.verdict, judgement.rule) == ("inconclusive", f"dns_injection/captured-{rule}")


def test_other_names_answered_from_as_near_accuse_nobody() -> None:
    tape = Tape().query("good.example", (62, "203.0.113.180"))
    for _ in range(3):
        tape.query("banned.example", (62, FORGED), (56, REAL))
    judgement = only(tape.query("good.example", (62, "203.0.113.180")))
    assert judgement.rule == "dns_injection/captured-control-alike"


def test_honest_things_are_not_spoken_of() -> None:
    tape = good(Tape()).query("a.example", (56, REAL), (56, REAL))  # doubled by the network
    tape.query("b.example", (56, REAL), (56, FORGED), copies=2)  # asked twice, answered twice
    tape.query("c.example").query("d.example", (56, ""))
    assert judge(tape.taken) == []


def sweep(first: int, *, harmless_answered: bool = False, reach: int = 9) -> Tape:
    tape = good(Tape())
    for ttl in range(1, reach):
        router = f"198.18.0.{ttl}"
        tape.query("banned.example", *([(62, FORGED)] if ttl >= first else []), ttl=ttl, dies_at=router)
        tape.query("good.example", *([(62, REAL)] if harmless_answered and ttl >= first else []), ttl=ttl,
                   dies_at=router)  # fmt: skip
    return good(tape.query("good.example", (64 - reach + 1, REAL), ttl=reach))


def test_answers_to_queries_that_died_place_the_forger() -> None:
    judgement = only(sweep(4))
    assert judgement.rule == "dns_injection/captured-answer-below-resolver"
    assert judgement.interference is not None
    place = judgement.interference.location
    assert place is not None
    assert (place.clean_ttl, place.first_ttl) == (3, 4)
    assert place.first_hop is not None
    assert place.first_hop.address == "198.18.0.4"


@pytest.mark.parametrize(
    ("tape", "rule"),
    [
        (sweep(1), "answered-at-home"),
        (sweep(4, reach=7), "captured-answer-below-resolver"),
    ],
)
def test_doubts_about_sweeps(tape: Tape, rule: str) -> None:
    judgement = only(tape)
    assert judgement.rule.endswith(rule)
    assert (judgement.verdict == "interfered") == (rule == "captured-answer-below-resolver")


def test_where_harmless_queries_that_died_were_answered_too_nobody_is_accused() -> None:
    found = {judgement.target.name: judgement for judgement in judge(sweep(4, harmless_answered=True).taken)}
    assert {judgement.verdict for judgement in found.values()} == {"inconclusive"}
    assert found["banned.example"].rule == "dns_injection/captured-control-alike"


def test_near_the_server_its_own_network_may_answer() -> None:
    tape = good(Tape())
    for i in range(4):
        tape.query("banned.example", (57, FORGED), ttl=8, dies_at=f"198.18.0.8{i}")
    tape.query("good.example", (56, REAL), ttl=9)
    assert only(good(tape)).rule == "dns_injection/captured-near-target"


def test_names_keep_apart_and_case_does_not_matter() -> None:
    tape = raced(62, 56, name="Banned.example").query("banned.EXAMPLE", (62, FORGED), (56, REAL))
    assert {race.name.lower() for race in races(tape.taken)} == {"good.example", "banned.example"}
    assert only(good(tape)).trials.made == 4
