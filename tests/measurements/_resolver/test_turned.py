"""Whose doing it is that queries reach another resolver: the home's, or somebody's beyond."""

from __future__ import annotations

from random import Random

from probe.measurements._dns.queries import Asker
from probe.measurements._locate import Shot
from probe.measurements._resolver.seen import Seen, Swept, Who
from probe.measurements._resolver.turned import turned
from probe.model.exchange import FULL_TTL, Exchange, Heard, Step, UdpStep
from probe.model.packet import Packet, Udp
from probe.wire import dns

OWN, PUBLIC, SILENT = "198.18.30.53", "203.0.113.153", "203.0.113.200"
ROUTERS = {1: "0.0.0.1", 2: "10.0.0.1", 3: "198.18.30.2", 4: "198.18.30.3", 5: "198.18.30.4", 6: "198.18.30.5"}


def asked(who: Who, address: str, answering: set[str], swept: Swept, most: int = 100) -> list[list[UdpStep]]:
    """What is sent, batch by batch, where these addresses answer."""
    seen = Seen("press.example", OWN, PUBLIC, SILENT, "good.example")
    seen.sweeps[who] = swept
    part = turned(seen, who, address, Asker(Random(3), 53), Random(3), dns.A, 0.5)
    batches: list[list[UdpStep]] = []
    heard: list[Exchange] = []
    while len(batches) < most:
        try:
            batch: list[Step] = part.send(heard) if batches else next(part)
        except StopIteration:
            break
        steps = [step for step in batch if isinstance(step, UdpStep)]
        assert len(steps) == len(batch)
        batches.append(steps)
        heard = [answer(step) if step.address in answering else Exchange(step=step) for step in steps]
    return batches


def answer(step: UdpStep) -> Exchange:
    payload = dns.encode(dns.answer(dns.decode(step.payload)))
    packet = Packet(
        version=4, source=step.address, destination="0.0.0.0", ttl=60, protocol=17, length=28 + len(payload),
        header=Udp(53, 40000, 8 + len(payload)), payload=payload,
    )  # fmt: skip
    return Exchange(step=step, sent_at=1.0, heard=(Heard(at=1.02, packet=packet, outgoing=False),))


def swept(address: str, answers: int) -> Swept:
    return Swept(address=address, shots=[Shot(answers, True, 60)], twins=[(answers, True)], routers=dict(ROUTERS))


def test_routers_that_are_not_answered_for_show_that_the_home_turns_nothing() -> None:
    found = swept(SILENT, 6)
    batches = asked("silent", SILENT, {SILENT}, found)
    to = {step.address for batch in batches for step in batch}
    assert to == {SILENT, "198.18.30.2", "198.18.30.3", "198.18.30.4"}  # neither the home, nor a private address
    assert {step.ttl for batch in batches for step in batch} == {FULL_TTL}
    assert found.left_home()
    assert len(batches) == 3  # nine against none
    flows = [step.flow for batch in batches for step in batch]
    assert len(set(flows)) == len(flows)


def test_a_home_that_turns_everything_is_answered_for_them_too() -> None:
    found = swept(SILENT, 6)
    batches = asked("silent", SILENT, {SILENT, *ROUTERS.values()}, found)
    assert len(batches) == 7
    assert not found.left_home()


def test_a_query_that_dies_on_its_way_where_the_own_resolver_answers() -> None:
    found = swept(PUBLIC, 6)
    found.died = [(4, "198.18.30.3"), (5, "198.18.30.4"), (5, "198.18.30.4")]
    found.plainly = {4: "198.18.30.3", 5: "198.18.30.4"}
    batches = asked("control", PUBLIC, {OWN}, found)
    assert {(step.address, step.ttl) for batch in batches for step in batch} == {(OWN, 5), (PUBLIC, 5)}
    assert found.left_home()
    alike = swept(PUBLIC, 6)
    alike.died, alike.plainly = found.died, found.plainly
    assert len(asked("control", PUBLIC, set(), alike)) == 7
    assert not alike.left_home()


def test_nothing_is_asked_where_nothing_can_be_told() -> None:
    assert asked("control", PUBLIC, {PUBLIC}, swept(PUBLIC, 6)) == []
    assert asked("silent", SILENT, {SILENT}, Swept(address=SILENT)) == []
    assert asked("silent", SILENT, {SILENT}, swept(SILENT, 2)) == []  # no router before the one that may be the home's
