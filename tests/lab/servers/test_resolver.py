"""The lab's resolvers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from probe.lab.kinds import Resolver
from probe.lab.namespaces import Namespace
from probe.lab.servers.resolver import ResolverServer
from probe.lab.servers.zone import Zone
from probe.wire import dns

NAMES = {"press.example": ("203.0.113.10", "2001:db8:a0::10")}


def ask(zone: Zone, name: str, qtype: int = dns.A, *, stream: bool = False) -> dns.Message:
    return zone.answer(dns.decode(dns.query(name, 5, qtype)), stream=stream)


def changed(**how: object) -> Zone:
    return Zone(NAMES, [Resolver(at="x", **how)])  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("answer", "rcode", "texts"),
    [("198.18.0.99", dns.NOERROR, ["198.18.0.99"]), ("nxdomain", dns.NXDOMAIN, []), ("refused", dns.REFUSED, [])],
)
def test_a_lie_is_about_the_name_and_all_below(answer: str, rcode: int, texts: list[str]) -> None:
    lie = Resolver(at="x", names=("press.example",), answer=answer)
    zone = Zone(NAMES | {"control.example": ("203.0.113.180",)}, [lie])
    for name in ("press.example", "a.press.example"):
        message = ask(zone, name)
        assert (message.rcode, [record.text for record in message.answers]) == (rcode, texts)
    assert [record.text for record in ask(zone, "control.example").answers] == ["203.0.113.180"]


def test_truncation_spares_streams() -> None:
    zone = changed(truncate=True)
    assert (ask(zone, "press.example").truncated, ask(zone, "press.example").answers) == (True, ())
    assert ask(zone, "press.example", stream=True).answers[0].text == "203.0.113.10"


def test_addresses_take_turns() -> None:
    zone = changed(rotate=("198.51.100.1", "198.51.100.2"))
    assert [ask(zone, "press.example").answers[0].text for _ in range(4)] == ["198.51.100.2", "198.51.100.1"] * 2


def test_no_question_is_a_format_error() -> None:
    assert Zone(NAMES).answer(dns.Message(7), stream=False).rcode == dns.FORMERR


@pytest.mark.lab
def test_it_serves_datagrams_and_streams_and_survives_nonsense() -> None:
    namespace = Namespace.create("x")
    with namespace.inside():
        import subprocess

        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    asyncio.run(_serve(namespace))
    namespace.close()


async def _serve(namespace: Namespace) -> None:
    server = ResolverServer(namespace, ["127.0.0.1", "::1"], changed(delay=0.05))
    await server.start()
    loop = asyncio.get_running_loop()
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        for payload in (b"x", dns.encode(dns.Message(1, response=True)), dns.query("press.example", 5)):
            await loop.sock_sendto(asker, payload, ("127.0.0.1", 53))
        begun = loop.time()
        answer = dns.decode(await asyncio.wait_for(loop.sock_recv(asker, 4096), 2))
        assert (answer.ident, answer.answers[0].text) == (5, "203.0.113.10")
        assert loop.time() - begun > 0.04
    with namespace.socket(socket.AF_INET6, socket.SOCK_STREAM) as asker:
        await loop.sock_connect(asker, ("::1", 53))
        await loop.sock_sendall(asker, dns.framed(dns.query("press.example", 6)) + dns.framed(b"nonsense"))
        stream = b""
        while more := await asyncio.wait_for(loop.sock_recv(asker, 4096), 2):
            stream += more
        assert [dns.decode(message).ident for message in dns.unframed(stream)] == [6]
    server.close()
    await asyncio.sleep(0)
