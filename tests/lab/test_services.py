"""What boxes that take others' queries and connections do, seen from a home."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab.kinds import DnsRedirect, HomeDns, HttpProxy, Nat, Resolver, Web
from probe.model.packet import Packet
from probe.wire import dns, http

pytestmark = pytest.mark.lab

Start = Callable[..., Any]
PRESS, SILENT, PUBLIC = "203.0.113.10", "203.0.113.200", "203.0.113.153"


def resolve(lab: Any, operator: str, name: str, resolver: str, *, stream: bool = False, qtype: int = dns.A) -> str:
    """First answer, or the response code; "" for silence."""
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    with lab.enter(operator):
        asker = socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, kind)
    with asker:
        asker.settimeout(0.7)
        query = dns.query(name, 9, qtype)
        try:
            asker.connect((resolver, 53))
            asker.send(dns.framed(query) if stream else query)
            data = asker.recv(4096)
        except TimeoutError:
            return ""
        message = dns.decode(data[2:] if stream else data)
    return message.answers[0].text if message.answers else f"rcode {message.rcode}"


@pytest.mark.parametrize("at", ["sale.bng", "sale.border"])
def test_queries_for_any_address_end_at_the_operator_s_resolver(internet: Start, listen: Start, at: str) -> None:
    lab = internet(
        DnsRedirect(at=at, protocols=("udp", "tcp")),
        Resolver(at="sale.resolver", names=("press.example",), answer="198.18.30.80"),
    )
    ear = listen(lab, "sale")
    for resolver in (PUBLIC, SILENT, "2001:db8:c0::53", "2001:db8:c0::200"):
        for stream in (False, True):
            assert resolve(lab, "sale", "press.example", resolver, stream=stream) == "198.18.30.80"
    assert {packet.source for packet in ear.packets(0.1)} == {PUBLIC, SILENT, "2001:db8:c0::53", "2001:db8:c0::200"}
    assert resolve(lab, "atlas", "press.example", SILENT) == ""


def test_a_router_can_answer_itself_over_udp_alone(internet: Start, listen: Start) -> None:
    lab = internet(
        DnsRedirect(at="sale.agg", to="sale.agg", spare=(PUBLIC,)),
        Resolver(at="sale.agg", names=("*",), answer="empty"),
    )
    ear = listen(lab, "sale")
    assert resolve(lab, "sale", "press.example", SILENT) == "rcode 0"
    (answer,) = ear.packets(0.1)
    assert (answer.source, answer.ttl) == (SILENT, 62)  # from the third hop
    assert resolve(lab, "sale", "press.example", PUBLIC) == PRESS
    assert resolve(lab, "sale", "press.example", PUBLIC, stream=True) == PRESS


def test_a_home_router_filters_as_its_owner_likes(internet: Start) -> None:
    lab = internet(HomeDns(at="atlas.router", names=("press.example",)))
    assert resolve(lab, "atlas", "press.example", PUBLIC) == "rcode 3"
    assert resolve(lab, "atlas", "octenium.example", PUBLIC) == "198.51.100.10"


def get(lab: Any, address: str = PRESS, host: str = "press.example", port: int = 80) -> bytes:
    found = b""
    with lab.enter("atlas"), socket.create_connection((address, port), timeout=3) as connection:
        connection.sendall(http.request(host))
        while more := connection.recv(65536):
            found += more
    return found


def received(page: bytes) -> bytes:
    from probe.wire import reflector

    return reflector.read_page(http.decode_response(page).body).data.lower()


@pytest.mark.parametrize("address", ["203.0.113.190", "2001:db8:c0::90"])
def test_a_proxy_ends_connections_at_its_own_hop(internet: Start, listen: Start, address: str) -> None:
    lab = internet(HttpProxy(at="atlas.core"))
    ear = listen(lab, "atlas")
    page = get(lab, address)
    assert b"\r\nVia: 1.1 cache\r\n" in page
    synack: Packet = ear.packets(0.2, until=bool)[0]
    assert synack.ttl == 61  # from the fourth hop
    assert b"x-forwarded-for" in received(page)
    assert b"via: 1.1 cache" in received(page)
    assert b"x-forwarded-for" not in received(get(lab, address, port=5060))


def test_a_proxy_can_keep_what_it_was_told(internet: Start) -> None:
    lab = internet(HttpProxy(at="atlas.core", cache=True))
    assert get(lab) == get(lab)
    assert b"200 OK" in get(lab)


def mapped(lab: Any, ports: int) -> list[bool]:
    """Which of many flows to one server's port get through."""
    found = []
    sockets = []
    for number in range(ports):
        with lab.enter("atlas"):
            asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets.append(asker)
        asker.settimeout(0.4)
        asker.sendto(dns.query("press.example", number), (PUBLIC, 53))
    for asker in sockets:
        try:
            found.append(bool(asker.recv(4096)))
        except TimeoutError:
            found.append(False)
        asker.close()
    return found


@pytest.mark.parametrize("at", ["atlas.bng", "atlas.router"])
def test_a_nat_runs_out_of_ports(internet: Start, at: str) -> None:
    lab = internet(Nat(at=at, ports=8))
    assert mapped(lab, 12) == [True] * 8 + [False] * 4
    with lab.enter("atlas"), socket.create_connection((PRESS, 80), timeout=2):
        pass  # other destinations have ports of their own


def test_a_second_nat_shows_another_address(internet: Start) -> None:
    lab = internet(Nat(at="atlas.bng"))
    assert b"200 OK" in get(lab)
    with lab.enter("press"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listener, lab.enter("atlas"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        listener.bind((PRESS, 7000))
        listener.settimeout(2)
        asker.sendto(b"x", (PRESS, 7000))
        assert listener.recvfrom(10)[1][0] == "198.18.10.202"


def test_a_nat_forgets_soon(internet: Start) -> None:
    lab = internet(Nat(at="atlas.router", udp_timeout=1))
    with lab.enter("press"):
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with far, lab.enter("atlas"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        far.bind((PRESS, 7000))
        far.settimeout(2)
        asker.settimeout(0.5)
        asker.sendto(b"x", (PRESS, 7000))
        _, source = far.recvfrom(10)
        far.sendto(b"soon", source)
        assert asker.recv(10) == b"soon"
        time.sleep(1.6)
        far.sendto(b"late", source)
        with pytest.raises(TimeoutError):
            asker.recv(10)


def test_a_server_takes_so_many_a_second(internet: Start) -> None:
    lab = internet(Web(at="press", per_second=3))
    found = []
    for _ in range(6):
        try:
            with lab.enter("atlas"), socket.create_connection((PRESS, 80), timeout=0.2):
                found.append(True)
        except TimeoutError:
            found.append(False)
    assert found[:3] == [True] * 3
    assert not all(found)
