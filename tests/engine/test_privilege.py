"""Sockets that need CAP_NET_RAW: what they are set to, and what is said where there can be none."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import pytest

from probe.engine import privilege
from probe.lab.lab import Lab
from probe.model.errors import CannotMeasure, NoPermission
from tests.engine.conftest import descriptors

OPEN: dict[str, Callable[[], socket.socket]] = {
    "raw packets": lambda: privilege.raw(socket.AF_INET, socket.IPPROTO_RAW),
    "capture packets": privilege.packet,
}


@pytest.mark.lab
@pytest.mark.parametrize("interface", ["", "eth0"])
def test_a_raw_socket_only_sends(chain: Lab, interface: str) -> None:
    with chain.enter("chain"), privilege.raw(socket.AF_INET, socket.IPPROTO_ICMP, interface) as sock:
        assert (sock.type, sock.proto, sock.getblocking()) == (socket.SOCK_RAW, socket.IPPROTO_ICMP, False)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == interface.encode()
        echo = b"\x08\0\xf7\xff\0\0\0\0"
        sock.sendto(echo, ("198.18.1.100", 0))  # this machine answers itself before the call returns
        with pytest.raises(BlockingIOError):
            sock.recv(100)


@pytest.mark.lab
def test_a_raw_socket_on_no_interface_is_closed(chain: Lab) -> None:
    with chain.enter("chain"):
        before = descriptors()
        with pytest.raises(OSError, match="No such device"):
            privilege.raw(socket.AF_INET, socket.IPPROTO_RAW, "no-such")
        assert descriptors() == before


@pytest.mark.lab
def test_a_packet_socket_is_deaf_until_it_is_bound(chain: Lab) -> None:
    with chain.enter("chain"), privilege.packet() as ear:
        ear.setblocking(False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", ("203.0.113.11", 9))
        assert ear.getsockname()[:2] == ("", 0)
        with pytest.raises(BlockingIOError):
            ear.recv(100)


@pytest.mark.parametrize("what", OPEN)
def test_without_permission_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def refused(*_: object) -> socket.socket:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(NoPermission, match="CAP_NET_RAW") as caught:
        OPEN[what]()
    assert what in caught.value.what
    assert "daemon" in str(caught.value)


def test_no_descriptor_for_a_capture_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    with pytest.raises(CannotMeasure, match="packet socket: Too many open files"):
        privilege.packet()
