"""The lab's resolvers on the wire."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from probe.lab.kinds import Resolver
from probe.lab.namespaces import Namespace
from probe.lab.servers import certificate
from probe.lab.servers.resolver import Elsewhere, ResolverServer
from probe.lab.servers.zone import Zone
from probe.wire import dns

pytestmark = pytest.mark.lab

NAMES = {"press.example": ("203.0.113.10", "2001:db8:a0::10")}


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace.create("x")
    with made.inside():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "address", "add", "127.0.0.9/32", "dev", "lo"], check=True)
    yield made
    made.close()


def changed(**how: Any) -> Zone:
    return Zone(NAMES, [Resolver(at="x", **how)])


async def ask(namespace: Namespace, payload: bytes, address: str = "127.0.0.1") -> dns.Message:
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        await asyncio.get_running_loop().sock_sendto(asker, payload, (address, 53))
        return dns.decode(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(asker, 4096), 2))


def test_it_serves_datagrams_and_streams_and_survives_nonsense(namespace: Namespace) -> None:
    asyncio.run(_serve(namespace))


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


def test_it_asks_whom_a_zone_belongs_to(namespace: Namespace) -> None:
    asyncio.run(_forward(namespace))


async def _forward(namespace: Namespace) -> None:
    other = ResolverServer(namespace, ["127.0.0.9"], Zone({"who.r.example": ("203.0.113.7",)}))
    elsewhere = Elsewhere("r.example", "127.0.0.9", "127.0.0.1")
    server = ResolverServer(namespace, ["127.0.0.1"], changed(names=("lie.r.example",)), None, elsewhere)
    await other.start()
    await server.start()
    found = await ask(namespace, dns.query("Who.r.example", 5))
    assert (found.ident, found.answers[0].text, found.recursion_available) == (5, "203.0.113.7", True)
    assert (await ask(namespace, dns.query("x.r.example", 6))).rcode == dns.NXDOMAIN
    assert (await ask(namespace, dns.query("lie.r.example", 7))).answers[0].text == "198.18.0.99"
    assert (await ask(namespace, dns.query("press.example", 8))).answers[0].text == "203.0.113.10"
    server.close()
    other.close()
    await asyncio.sleep(0)


def test_who_does_not_answer_is_a_failure_of_the_server(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.lab.servers.resolver._PATIENCE", 0.05)

    async def work() -> None:
        server = ResolverServer(namespace, ["127.0.0.1"], Zone(NAMES), None, Elsewhere("r.x", "127.0.0.9", "127.0.0.1"))
        await server.start()
        with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.9", 53))
            assert (await ask(namespace, dns.query("who.r.x", 5))).rcode == dns.SERVFAIL
        server.close()
        await asyncio.sleep(0)

    asyncio.run(work())


def test_it_speaks_tls_and_https(namespace: Namespace) -> None:
    asyncio.run(_encrypted(namespace))


async def _encrypted(namespace: Namespace) -> None:
    context, authority = certificate.make(["resolver.example"])
    server = ResolverServer(namespace, ["127.0.0.1"], Zone(NAMES), context)
    await server.start()
    trust = ssl.create_default_context(cadata=authority)
    query = dns.query("press.example", 5)

    async def over(port: int, request: bytes) -> bytes:
        asker = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        await asyncio.get_running_loop().sock_connect(asker, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=asker, ssl=trust, server_hostname="resolver.example")
        writer.write(request)
        found = b""
        async with asyncio.timeout(2):
            while not (port == 853 and dns.unframed(found)) and (more := await reader.read(4096)):
                found += more
        writer.close()
        return found

    assert dns.decode(dns.unframed(await over(853, dns.framed(query)))[0]).answers[0].text == "203.0.113.10"
    post = b"POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(query) + query
    get = b"GET /dns-query?dns=" + base64.urlsafe_b64encode(query).rstrip(b"=") + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    for request in (post, get):
        head, _, body = (await over(443, request)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert dns.decode(body).answers[0].text == "203.0.113.10"
    assert (await over(443, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 400")
    server.close()
    await asyncio.sleep(0)


def test_some_speak_in_the_clear_alone(namespace: Namespace) -> None:
    async def work() -> None:
        context, _ = certificate.make(["resolver.example"])
        server = ResolverServer(namespace, ["127.0.0.1"], changed(encrypted=False), context)
        await server.start()
        with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as asker, pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(asker, ("127.0.0.1", 853))
        server.close()
        await asyncio.sleep(0)

    asyncio.run(work())
