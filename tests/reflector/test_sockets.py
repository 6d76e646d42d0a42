"""Sockets that tell TTL, TOS and the SYN; and sockets that say nothing. Over IPv4 and IPv6."""

from __future__ import annotations

import contextlib
import select
import socket

import pytest

from probe.reflector import filters, sockets
from probe.reflector.core import Reply
from tests.reflector.conftest import loopback

pytestmark = pytest.mark.loopback

ADDRESSES = [loopback(31), "::1"]


@pytest.fixture(params=ADDRESSES, ids=["v4", "v6"])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def waited(sock: socket.socket) -> socket.socket:
    assert select.select([sock], [], [], 5)[0]
    return sock


def client(address: str, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    sock = socket.socket(sockets.family(address), kind)
    sock.settimeout(5)
    return sock


def test_a_datagram_comes_with_its_headers_and_is_answered(address: str) -> None:
    with sockets.datagrams(address, 0) as server, client(address) as probe:
        port = server.getsockname()[1]
        assert sockets.take(server, address, port) is None
        if ":" in address:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 33)
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0xB8)
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        probe.sendto(b"hello", (address, port))
        came = sockets.take(waited(server), address, port)
        assert came is not None
        assert (came.data, came.ttl, came.tos, came.port) == (b"hello", 33, 0xB8, port)
        assert came.source_port == probe.getsockname()[1]
        sockets.send(server, Reply(b"and back", 0x68), came)
        data, extra, _, _ = probe.recvmsg(100, 100)
        assert data == b"and back"
        assert [value[0] for _, _, value in extra] == [0x68]


def test_a_connection_comes_with_its_syn(address: str) -> None:
    with sockets.listener(address, 0) as server, client(address, socket.SOCK_STREAM) as probe:
        probe.connect((address, server.getsockname()[1]))
        taken, _ = waited(server).accept()
        with taken:
            syn = sockets.saved_syn(taken)
        assert syn is not None
        assert (syn.ttl, syn.flags & 0x3F, syn.options[:2]) == (64, 2, b"\2\4")
        assert syn.length == len(syn.options) + 20 + (40 if ":" in address else 20)
        assert sockets.saved_syn(probe) is None


@pytest.mark.parametrize("filtered", [True, False], ids=["filter", "full queue"])
def test_silence_answers_nothing_and_holds_its_port(
    address: str, filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not filtered:  # as for a process without CAP_NET_ADMIN
        attach = filters.attach

        def refuses(sock: socket.socket, code: bytes) -> None:
            if sock.type == socket.SOCK_STREAM:
                raise PermissionError(1, "Operation not permitted")
            attach(sock, code)

        monkeypatch.setattr(filters, "attach", refuses)
    with contextlib.ExitStack() as stack:
        with client(address, socket.SOCK_STREAM) as one:
            one.bind((address, 0))
            port = one.getsockname()[1]
        for sock in sockets.silent(address, port):
            stack.enter_context(sock)
        probe = stack.enter_context(client(address))
        probe.settimeout(0.2)
        probe.connect((address, port))
        for _ in range(2):  # a refusal would show at the second
            probe.send(b"hello")
            with pytest.raises(TimeoutError):
                probe.recv(100)
        for _ in range(2):
            stream = stack.enter_context(client(address, socket.SOCK_STREAM))
            stream.settimeout(0.2)
            with pytest.raises(TimeoutError):
                stream.connect((address, port))
        with pytest.raises(OSError, match="in use"):
            sockets.silent(address, port)


def test_a_datagram_too_large_is_lost_and_no_more(address: str) -> None:
    with sockets.datagrams(address, 0) as server, client(address) as probe:
        port = server.getsockname()[1]
        probe.sendto(b"hello", (address, port))
        came = sockets.take(waited(server), address, port)
        assert came is not None
        sockets.send(server, Reply(b"x" * 70_000), came)
        sockets.send(server, Reply(b"small"), came)
        assert probe.recv(100_000) == b"small"
