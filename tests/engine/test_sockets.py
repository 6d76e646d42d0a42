"""What the kernel's sockets are told, and what their errors mean."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket

import pytest

from probe.engine import sockets
from probe.lab.kinds import RouteAway
from probe.lab.lab import Lab


@pytest.mark.parametrize(
    ("number", "failure", "note"),
    [
        (errno.ECONNREFUSED, "refused", ""),
        (errno.ETIMEDOUT, "timeout", ""),
        (errno.EHOSTUNREACH, "unreachable", "EHOSTUNREACH"),
        (errno.ENETUNREACH, "unreachable", "ENETUNREACH"),
        (errno.EACCES, "unreachable", "EACCES"),
        (errno.ECONNRESET, "refused", "reset during the handshake"),
        (errno.ENETDOWN, "error", "ENETDOWN"),
        (errno.EMFILE, "error", "EMFILE"),
    ],
)
def test_what_a_failed_handshake_means(number: int, failure: str, note: str) -> None:
    assert sockets.connect_failure(OSError(number, os.strerror(number))) == (failure, note)


def test_an_own_timeout_is_a_timeout() -> None:
    assert sockets.connect_failure(TimeoutError()) == ("timeout", "")


def test_errors_are_told_by_the_kernels_name() -> None:
    assert sockets.explain(OSError(errno.ENODEV, "x")) == "ENODEV"
    assert sockets.explain(OSError("odd")) == "odd"


def test_a_full_queue_is_tried_again() -> None:
    calls: list[int] = []

    def send() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OSError([errno.EAGAIN, errno.ENOBUFS][len(calls) - 1], "full")

    asyncio.run(sockets.patiently(send))
    assert len(calls) == 3


def test_a_queue_that_stays_full_is_told() -> None:
    calls: list[int] = []

    def send() -> None:
        calls.append(1)
        raise OSError(errno.ENOBUFS, "full")

    with pytest.raises(OSError, match="full"):
        asyncio.run(sockets.patiently(send))
    assert 1 < len(calls) <= 20


def test_another_error_is_not_tried_again() -> None:
    calls: list[int] = []

    def send() -> None:
        calls.append(1)
        raise OSError(errno.ENETUNREACH, "no way")

    with pytest.raises(OSError, match="no way"):
        asyncio.run(sockets.patiently(send))
    assert len(calls) == 1


@pytest.mark.parametrize(("address", "family"), [("198.51.100.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6)])
def test_the_ttl_is_set(address: str, family: socket.AddressFamily) -> None:
    assert sockets.family(address) == family
    level, option = (socket.IPPROTO_IPV6, 16) if family == socket.AF_INET6 else (socket.IPPROTO_IP, socket.IP_TTL)
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sockets.set_ttl(sock, 7)
        assert sock.getsockopt(level, option) == 7


@pytest.mark.loopback
@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_one_datagram_has_a_ttl_of_its_own(address: str, family: int) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as ear, socket.socket(family, socket.SOCK_DGRAM) as sock:
        v6 = family == socket.AF_INET6
        ear.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1) if v6 else (socket.IPPROTO_IP, 12, 1)))
        ear.bind((address, 0))
        ear.settimeout(2)
        sock.connect(ear.getsockname())
        sock.sendmsg([b"x"], sockets.header_fields(family, 9))
        _, ancillary, _, _ = ear.recvmsg(10, 100)
        assert int.from_bytes(ancillary[0][2], "little") == 9


@pytest.mark.lab
@pytest.mark.parametrize("server", ["203.0.113.10", "2001:db8:a0::10"])
def test_datagrams_go_out_although_a_router_forbids_them(server: str) -> None:
    box = RouteAway(at="chain.r2", prefixes=("203.0.113.0/24", "2001:db8:a0::/48"), action="admin_prohibited")
    family = sockets.family(server)
    with Lab.chain(3, [box]) as lab, lab.enter("chain"), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((server, 9))
        errors = select.poll()
        errors.register(sock, 0)
        sock.send(b"x")
        assert errors.poll(2000)  # what the router says of the first is what the second meets
        sockets.send_datagram(sock, b"x", sockets.header_fields(family, 64))


@pytest.mark.loopback
def test_a_fault_of_this_machine_stays() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))
        with pytest.raises(OSError, match="too long"):
            sockets.send_datagram(sock, bytes(70_000), [])


@pytest.mark.loopback
def test_an_aborted_flow_ends_by_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        with peer:
            sockets.abort(client)
            peer.settimeout(2)
            with pytest.raises(ConnectionResetError):
                peer.recv(1)
    sockets.abort(client)  # closed already: no harm


def test_a_device_that_does_not_exist() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sockets.bind_device(sock, "")
        with pytest.raises(OSError, match=r"No such device|not permitted"):
            sockets.bind_device(sock, "no-such")
