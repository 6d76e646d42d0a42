"""The three operators: what each box does to packets, seen from the homes."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab import world
from probe.lab.kinds import Box, DnsInjector, EqualPaths, HomeDns, IcmpRule, ResetInjector, Resolver, RouteAway, Web
from probe.lab.lab import Lab
from probe.model.packet import Packet
from probe.wire import dns, http
from tests.lab.conftest import quickest

pytestmark = pytest.mark.lab

Start = Callable[..., Any]
PRESS, PRESS6 = world.NAMES["press.example"]
RESOLVER = "203.0.113.153"
SITES = ("press.example", "octenium.example", "shop.octenium.example", "control.example")


def trace(lab: Lab, operator: str, address: str, listen: Start, *, port: int = 33434) -> list[str]:
    """Who answers a datagram at each TTL from 1 to 9; "" if nobody does."""
    ear = listen(lab, operator)
    found = []
    for ttl in range(1, 10):
        with lab.enter(operator):
            probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            if ":" in address:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            else:
                probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            probe.sendto(b"x", (address, port))
            heard = ear.packets(0.3, until=bool)
        found.append(heard[0].source if heard else "")
    return found


def resolve(lab: Lab, operator: str, name: str, resolver: str = RESOLVER, timeout: float = 1.0) -> str:
    """First answer's address, or the response code, or "" for silence."""
    with lab.enter(operator):
        asker = socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, socket.SOCK_DGRAM)
    with asker:
        asker.settimeout(timeout)
        asker.sendto(dns.query(name, 9), (resolver, 53))
        try:
            message = dns.decode(asker.recv(4096))
        except TimeoutError:
            return ""
    return message.answers[0].text if message.answers else f"rcode {message.rcode}"


def fetch(lab: Lab, operator: str, host: str, address: str, timeout: float = 1.0) -> str:
    """Status of a page, or how it failed."""
    found = b""
    try:
        with lab.enter(operator), socket.create_connection((address, 80), timeout=timeout) as connection:
            connection.sendall(http.request(host))
            while more := connection.recv(4096):
                found += more
    except OSError as error:
        return type(error).__name__ if error.errno != 113 else "NoRoute"
    return str(http.decode_response(found).status)


@pytest.fixture(scope="module")
def honest() -> Any:
    """Shared by the tests that only look."""
    with Lab.up("honest") as lab:
        yield lab


@pytest.mark.parametrize("operator", ["atlas", "oran", "sale"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_trace_shows_the_expected_routers(honest: Lab, listen: Start, operator: str, version: int) -> None:
    found = trace(honest, operator, PRESS if version == 4 else PRESS6, listen)
    nodes = ["router", "bng", "agg", "core", "border"]
    path = [f"{operator}.{short}" for short in nodes] + ["transit.a", "transit.b", "press.edge", "press"]
    for ttl, (node, address) in enumerate(zip(path, found, strict=True), 1):
        truth = honest.truth(operator, node)
        assert address in truth.addresses
        assert truth.ttl == ttl
    assert [honest.asn_of(a) for a in found[1:]] == [honest.state.homes[operator].asn] * 4 + [64510] * 2 + [64530] * 2


@pytest.mark.parametrize("operator", ["atlas", "oran", "sale"])
def test_servers_answer_every_home_both_families(honest: Lab, operator: str) -> None:
    for name, addresses in world.NAMES.items():
        assert resolve(honest, operator, name) == addresses[0]
        for address in addresses if name in SITES else ():
            assert fetch(honest, operator, name, address) == "200"
    own = honest.state.addresses[f"{operator}.resolver"]
    assert [resolve(honest, operator, "press.example", address) for address in own] == [PRESS, PRESS]


def test_a_whole_company_answers(honest: Lab) -> None:
    for address in ("198.51.100.0", "198.51.100.2", "198.51.100.127", "192.0.2.0", "192.0.2.127", "2001:db8:b0::1ff"):
        assert fetch(honest, "oran", "shop.octenium.example", address) == "200"


def test_the_silent_address_is_routed_and_says_nothing(honest: Lab, listen: Start) -> None:
    for address in world.SILENT:
        found = trace(honest, "atlas", address, listen)
        assert found[7] in honest.truth("atlas", "far.edge").addresses
        assert found[8] == ""
        assert resolve(honest, "atlas", "press.example", address, timeout=0.1) == ""


def test_a_round_trip_takes_what_the_scenario_says(honest: Lab) -> None:
    def connects() -> float:
        with honest.enter("sale"), socket.socket() as connection:
            begun = time.monotonic()
            connection.connect((PRESS, 80))
            return time.monotonic() - begun

    assert 0.02 <= quickest(0.2, connects) < 0.2


def test_operators_do_what_the_demo_says(listen: Start) -> None:
    with Lab.up("demo") as lab:
        assert [resolve(lab, name, "press.example") for name in lab.homes] == [PRESS, PRESS, "198.18.0.99"]
        pages = [fetch(lab, name, "press.example", PRESS) for name in lab.homes]
        assert pages == ["200", "200", "ConnectionResetError"]
        for address in world.NAMES["octenium.example"]:
            hosted = [fetch(lab, name, "octenium.example", address, timeout=0.3) for name in lab.homes]
            assert hosted == ["200", "TimeoutError", "200"]
        path = trace(lab, "oran", "198.51.100.10", listen)
        assert path[3] in lab.truth("oran", "oran.core").addresses
        assert path[4:] == [""] * 5  # the packets die at the border router, which does not even answer


@pytest.mark.parametrize(("action", "code"), [("unreachable", 1), ("prohibit", 13)])
def test_a_router_can_reject_a_prefix(internet: Start, listen: Start, action: Any, code: int) -> None:
    lab = internet(RouteAway(at="oran.core", prefixes=("198.51.100.0/25",), action=action))
    ear = listen(lab, "oran")
    assert fetch(lab, "oran", "octenium.example", "198.51.100.10") == "NoRoute"
    heard: list[Packet] = ear.packets(0.1)
    icmp = [(p.source, getattr(p.header, "type", 0), getattr(p.header, "code", 0)) for p in heard if p.protocol == 1]
    assert icmp == [("198.18.20.4", 3, code)]
    assert fetch(lab, "oran", "octenium.example", "192.0.2.10") == "200"
    assert fetch(lab, "sale", "octenium.example", "198.51.100.10") == "200"


def test_a_home_router_can_answer_for_any_address(internet: Start, listen: Start) -> None:
    lab = internet(HomeDns(at="atlas.router"))
    ear = listen(lab, "atlas")
    for address in (*world.SILENT, RESOLVER):
        assert resolve(lab, "atlas", "press.example", address) == PRESS
    heard = ear.packets(0.1)
    assert [p.ttl for p in heard] == [64, 64, 64]  # from the first hop
    assert {p.source for p in heard} == {*world.SILENT, RESOLVER}  # but in the others' names
    assert resolve(lab, "oran", "press.example", world.SILENT[0], timeout=0.1) == ""


def test_a_router_can_be_silent(internet: Start, listen: Start) -> None:
    lab = internet(IcmpRule(at="atlas.agg", mode="silent"))
    for address in (PRESS, PRESS6):
        assert [ttl for ttl, source in enumerate(trace(lab, "atlas", address, listen), 1) if not source] == [3]


def test_a_router_can_limit_its_errors(internet: Start, listen: Start) -> None:
    lab = internet(IcmpRule(at="atlas.agg", mode="limited", interval=60.0), rtt=0)
    ear = listen(lab, "atlas")
    with lab.enter("atlas"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 3)
        for _ in range(20):
            with contextlib.suppress(OSError):
                probe.sendto(b"x", (PRESS, 33434))
        assert 1 <= len(ear.packets(0.3)) <= 8  # Linux lets a burst of six pass


@pytest.mark.parametrize("longer", [False, True])
def test_equal_paths_are_chosen_by_flow(internet: Start, listen: Start, longer: bool) -> None:
    lab = internet(EqualPaths(at="atlas.core", longer=longer))
    ear = listen(lab, "atlas")
    seen: set[str] = set()
    lengths: set[str] = set()
    for port in range(33434, 33458):
        for ttl, found in ((4, seen), (6, lengths)):
            with lab.enter("atlas"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("", port))  # the same flow at both TTLs
                probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
                probe.sendto(b"x", (PRESS, port))
                found.update(p.source for p in ear.packets(0.3, until=bool))
    assert seen == {"198.18.10.4", "198.18.10.124"}
    assert lengths == ({"198.19.0.1", "198.18.10.5"} if longer else {"198.19.0.1"})
    assert fetch(lab, "atlas", "press.example", PRESS) == "200"


@pytest.mark.parametrize(
    ("box", "result"),
    [
        (Web(at="press", ports=(443,)), "ConnectionRefusedError"),
        (Web(at="press", ports=(443,), firewall=True), "TimeoutError"),
        (RouteAway(at="press.edge", prefixes=(f"{PRESS}/32",)), "TimeoutError"),
        (ResetInjector(at="press", words=("",), ttl=200, in_path=True), "ConnectionResetError"),
        (Web(at="press", unknown_host="reset"), "200"),
    ],
)
def test_servers_can_be_the_ones_to_blame(internet: Start, box: Box, result: str) -> None:
    lab = internet(box)
    assert fetch(lab, "atlas", "press.example", PRESS, timeout=0.3) == result


def test_resolvers_can_lie_and_others_not(internet: Start) -> None:
    lab = internet(Resolver(at="sale.resolver", names=("press.example",), answer="nxdomain"))
    assert resolve(lab, "sale", "press.example", "198.18.30.53") == "rcode 3"
    assert resolve(lab, "sale", "octenium.example", "198.18.30.53") == "198.51.100.10"
    assert resolve(lab, "sale", "press.example") == PRESS


def test_a_box_in_transit_meets_all_operators(internet: Start) -> None:
    lab = internet(DnsInjector(at="transit.a", names=("press.example",)))
    assert [resolve(lab, name, "press.example") for name in lab.homes] == ["198.18.0.99"] * 3
