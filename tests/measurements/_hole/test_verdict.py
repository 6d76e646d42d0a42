"""One silent address before the court. (Whole networks: test_blackhole.)"""

from __future__ import annotations

import pytest

from probe.measurements._hole.verdict import Case, Court
from probe.measurements._hole.ways import FLOWS, Aim, Ways
from probe.measurements._reach import ICMP, UDP, Answer, Sight, tcp

SUBJECT = Aim("198.51.100.10", (tcp(443), UDP, ICMP))
ONE, TWO = Aim("203.0.113.10", (tcp(80),)), Aim("203.0.113.180", (tcp(80),))
TRUNK = 8


def seen(
    last: int, *, passing: int = 12, answered: int = FLOWS, refused: tuple[int, str] | None = None, own: int = 0,
    router: str = "r",
) -> Ways:  # fmt: skip
    """Packets to SUBJECT die behind hop ``last``, those to the references go on; or they are refused from a TTL on."""
    ways = Ways()

    def add(aim: Aim, ttl: int, name: str = "", answer: Answer = "", who: str = "") -> None:
        ways.add(aim, Sight(probe=aim.probe(0), ttl=ttl, router=name, answer=answer,
                            refused=(who, 13) if who else None))  # fmt: skip

    for i in range(FLOWS):
        add(SUBJECT, 64, answer="open" if i < own else "", who=refused[1] if refused else "")
        for aim in (ONE, TWO):
            add(aim, 64, answer="open" if i < answered else "")
    for _ in range(passing):
        for ttl in range(1, TRUNK + 1):
            for aim in (ONE, TWO):
                add(aim, ttl, "0.0.0.1" if ttl == 1 else f"r{ttl}")
            who = refused[1] if refused and ttl >= refused[0] else ""
            add(SUBJECT, ttl, ("0.0.0.1" if ttl == 1 else f"{router}{ttl}") if ttl <= last and not who else "", who=who)
    return ways


def judge(ways: Ways) -> Case:
    return Court(ways, [ONE, TWO]).judge(SUBJECT)


@pytest.mark.parametrize("last", [2, 3, 4, 5])
def test_packets_that_die_well_before_the_ways_part(last: int) -> None:
    case = judge(seen(last))
    assert (case.verdict, case.rule, case.technique) == ("interfered", "dies-where-others-pass", "ip_blackhole")
    assert case.location is not None
    assert (case.location.clean_ttl, case.location.first_ttl) == (last, last + 1)
    assert case.location.first_hop is not None
    assert case.location.first_hop.address == f"r{last + 1}"
    assert case.confidence > 0.85


@pytest.mark.parametrize(
    ("ways", "rule"),
    [
        (seen(6), "silent-near-target"),
        (seen(8), "silent-near-target"),
        (seen(0), "silent-at-home"),
        (seen(1), "silent-at-home"),
        (seen(4, router="x"), "another-way"),
        (seen(4, passing=2), "silent-near-target"),
        (seen(4, answered=1), "too-little-evidence"),
        (seen(4, answered=0), "too-little-evidence"),
        (seen(4, own=8), "some-flows-pass"),
        (seen(3, refused=(4, "0.0.0.1")), "refused-at-home"),
        (seen(6, refused=(7, "r7")), "refused-near-target"),
        (seen(3, refused=(4, "r4"), router="x"), "router-refuses"),
        (seen(3, refused=(4, "x4"), router="x"), "refused-near-target"),
        (seen(8, refused=(64, "far")), "refused-somewhere"),
    ],
)
def test_each_doubt_has_its_rule(ways: Ways, rule: str) -> None:
    case = judge(ways)
    assert case.rule == rule
    assert (case.verdict == "interfered") == (rule == "router-refuses")
    assert case.verdict == "interfered" or (case.technique, case.confidence) == (None, 0.0)


def test_a_refusal_is_placed_where_the_router_showed_itself_to_others() -> None:
    """It said so only at higher TTLs, for it may send only so many errors."""
    case = judge(seen(3, refused=(5, "r4")))
    assert case.location is not None
    assert (case.location.clean_ttl, case.location.first_ttl) == (3, 4)


def test_an_address_that_answers_is_reached() -> None:
    case = judge(seen(8, own=FLOWS))
    assert (case.verdict, case.rule) == ("clean", "answers")


def test_one_reference_shows_no_common_way() -> None:
    assert Court(seen(4), [ONE]).judge(SUBJECT).verdict == "inconclusive"


def resets(first: int, hops: int) -> tuple[Ways, Aim, Aim]:
    """SYNs to a port are reset from a TTL on, by answers that have crossed so many routers; its twin is 9 hops away."""
    port, twin = Aim("198.51.100.10", (tcp(443),)), Aim("198.51.100.10", (tcp(80),))
    ways = Ways()
    for ttl in [*range(1, 10)] * 4:
        router = "0.0.0.1" if ttl == 1 else f"198.51.0.{ttl}"
        hit = ttl >= first
        ways.add(port, Sight(probe=tcp(443), ttl=ttl, answer="closed" if hit else "", router="" if hit else router,
                             hops=hops if hit else None))  # fmt: skip
        ways.add(twin, Sight(probe=tcp(80), ttl=ttl, answer="open" if ttl == 9 else "",
                             router="" if ttl == 9 else router))  # fmt: skip
    return ways, port, twin


def test_resets_for_packets_that_end_before_the_address() -> None:
    ways, port, twin = resets(4, 3)
    case = Court(ways, [twin], twin=True, operator=["198.51.0.0/24"]).judge(port)
    assert (case.verdict, case.rule, case.technique) == ("interfered", "reset-before-target", "port_block")
    assert case.location is not None
    assert (case.location.clean_ttl, case.location.first_ttl) == (3, 4)


@pytest.mark.parametrize(("first", "hops"), [(1, 0), (2, 0), (2, 8), (2, 136)])
def test_resets_that_the_homes_own_router_may_send(first: int, hops: int) -> None:
    ways, port, twin = resets(first, hops)
    assert Court(ways, [twin], twin=True).judge(port).verdict != "interfered"


def test_resets_that_come_from_a_network_of_another() -> None:
    ways, port, twin = resets(6, 5)
    case = Court(ways, [twin], twin=True, operator=["198.18.0.0/15"]).judge(port)
    assert (case.verdict, case.rule) == ("inconclusive", "not-the-operator-s")


def only_pings(peer: int) -> Ways:
    """A port dies behind hop 3, pings of its address arrive at hop 9; a peer's packets over TCP die behind ``peer``."""
    ways = Ways()
    ping, other = Aim(SUBJECT.address, (ICMP,)), ONE
    for aim, probe, last in ((PORT, tcp(443), 3), (ping, ICMP, 9), (other, tcp(80), peer)):
        for _ in range(FLOWS):
            ways.add(aim, Sight(probe=probe, ttl=64, answer="open" if last == 9 else ""))
            for ttl in range(1, 10):
                router = "" if ttl > last else "0.0.0.1" if ttl == 1 else f"r{ttl}"
                arrived = ttl == last == 9
                ways.add(aim, Sight(probe=probe, ttl=ttl, router="" if arrived else router,
                                    answer="open" if arrived else ""))  # fmt: skip
    return ways


PORT = Aim(SUBJECT.address, (tcp(443),))


@pytest.mark.parametrize(
    ("peers", "peer", "rule"),
    [
        (None, 3, "dies-where-others-pass"),  # its own other port answers: no peer is needed
        ([ONE], 9, "dies-where-others-pass"),
        ([ONE], 3, "only-pings-pass"),  # a NAT that has run out of ports shuts out both
        ([], 9, "only-pings-pass"),
    ],
)
def test_where_only_pings_are_answered_others_must_pass_over_tcp(
    peers: list[Aim] | None, peer: int, rule: str
) -> None:
    ping = Aim(SUBJECT.address, (ICMP,))
    case = Court(only_pings(peer), [ping], twin=True, peers=peers).judge(PORT)
    assert case.rule == rule
    assert case.verdict == ("interfered" if rule.startswith("dies") else "inconclusive")
