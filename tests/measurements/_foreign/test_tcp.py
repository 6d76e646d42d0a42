"""Resets in captures of others: who is believed."""

from __future__ import annotations

import pytest

from probe.measurements._foreign.packets import Taken
from probe.measurements._foreign.tcp import connections, judge
from probe.model.finding import Judgement
from probe.model.packet import Flags, Icmp, Packet, Tcp
from probe.wire import http

ME, SERVER = "192.168.1.2", "203.0.113.10"
SYN, ACK, RST, PSH = Flags.SYN, Flags.ACK, Flags.RST, Flags.PSH


class Tape:
    """Makes a capture, connection by connection."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.now = 0.0
        self.port = 40000

    def out(self, flags: int, payload: bytes = b"", sequence: int = 1, ttl: int = 64) -> Packet:
        header = Tcp(self.port, 80, sequence, 0, int(flags), 64240)
        return self._take(Packet(4, ME, SERVER, ttl, 6, 40 + len(payload), header=header, payload=payload))

    def back(self, ttl: int, flags: int, payload: bytes = b"") -> None:
        header = Tcp(80, self.port, 9, 2, int(flags), 65160)
        self._take(Packet(4, SERVER, ME, ttl, 6, 40 + len(payload), header=header, payload=payload))

    def connect(
        self, name: str, *, reset: int = 0, answers: bool = True, late: bool = False, ttl: int = 64, dies_at: str = ""
    ) -> Tape:
        """A request for ``name``; ``reset``: TTL of a reset for it, 0: none."""
        self.port += 1
        self.out(SYN, sequence=0)
        self.back(56, SYN | ACK)
        self.out(ACK)
        request = self.out(ACK | PSH, http.request(name), ttl=ttl)
        if dies_at:
            self._take(Packet(4, dies_at, ME, 250, 1, 56, header=Icmp(11, 0, quoted=request)))
        if answers and not late:
            self.back(56, ACK | PSH, b"HTTP/1.1 200 OK\r\n\r\n")
        if reset:
            self.back(reset, RST | ACK)
        if late:
            self.back(56, ACK | PSH, b"HTTP/1.1 200 OK\r\n\r\n")
        return self

    def _take(self, packet: Packet) -> Packet:
        self.now += 0.01
        self.taken.append(Taken(self.now, packet))
        return packet


def only(tape: Tape) -> Judgement:
    (judgement,) = judge(tape.taken)
    return judgement


def resets(ttl: int, times: int = 3, *, before: bool = True, after: bool = True, late: bool = True) -> Tape:
    tape = Tape()
    if before:
        tape.connect("good.example")
    for _ in range(times):
        tape.connect("banned.example", reset=ttl, answers=False, late=late)
    return tape.connect("good.example") if after else tape


def test_resets_from_nearer_between_connections_that_work() -> None:
    judgement = only(resets(62))
    assert (judgement.verdict, judgement.rule) == ("interfered", "tcp_reset/captured-reset-from-nearer")
    assert (judgement.target.name, judgement.target.address, judgement.target.port) == ("banned.example", SERVER, 80)
    assert (judgement.trials.made, judgement.controls.made) == (3, 2)
    assert any("still arrived behind the reset" in reason for reason in judgement.reasons)
    assert judgement.details == {"ttls_reset": [62], "ttls_opening": [56]}


@pytest.mark.parametrize(
    ("tape", "rule"),
    [
        (resets(62, times=2), "too-few"),
        (resets(62, before=False), "no-control"),
        (resets(62, after=False), "no-control"),
        (resets(56), "same-distance"),
        (resets(58), "same-distance"),
        (resets(120), "same-distance"),  # a load balancer of another make
        (resets(64), "from-home"),
        (resets(62).connect("worse.example", reset=62, answers=False), "control-alike"),
    ],
)
def test_each_doubt_has_its_rule(tape: Tape, rule: str) -> None:
    judgement = judge(tape.taken)[0]
    assert (judgement.verdict, judgement.rule) == ("inconclusive", f"tcp_reset/captured-{rule}")
    assert judgement.confidence == 0.0


def test_a_reset_behind_the_answer_is_how_some_servers_close() -> None:
    tape = Tape()
    for _ in range(4):
        tape.connect("good.example", reset=62)
    assert judge(tape.taken) == []


def below(ttl: int, reach: int = 9) -> Tape:
    tape = Tape().connect("good.example")
    for i in range(3):
        tape.connect("banned.example", reset=64 - reach + 1, answers=False, ttl=ttl + i, dies_at=f"198.18.0.{ttl + i}")
    tape.connect("banned.example", answers=False, ttl=ttl - 1, dies_at=f"198.18.0.{ttl - 1}")
    return tape.connect("good.example")


def test_requests_that_died_and_were_reset_place_whoever_did_it() -> None:
    judgement = only(below(4))
    assert judgement.rule == "tcp_reset/captured-reset-below-server"
    assert judgement.interference is not None
    place = judgement.interference.location
    assert place is not None
    assert (place.clean_ttl, place.first_ttl) == (3, 4)
    assert place.clean_hop is not None
    assert place.clean_hop.address == "198.18.0.3"


@pytest.mark.parametrize("ttl", [1, 8])
def test_near_an_end_nobody_is_accused(ttl: int) -> None:
    assert only(below(ttl)).rule == "tcp_reset/captured-near-an-end"


def test_only_whole_connections_with_a_name_count() -> None:
    tape = Tape()
    tape.out(ACK | PSH, http.request("a.example"))  # its SYN was not captured
    tape.back(62, RST | ACK)
    tape.port += 1
    tape.out(SYN, sequence=0)
    tape.out(SYN, sequence=0)
    tape.back(56, SYN | ACK)
    tape.out(ACK | PSH, b"no name")
    assert connections(tape.taken) == []
    assert judge(tape.taken) == []


def test_a_port_that_is_used_again_is_another_connection() -> None:
    tape = Tape().connect("good.example")
    tape.port -= 1
    known = connections(tape.connect("good.example").taken)
    assert len(known) == 2
    assert all(one.worked for one in known)
