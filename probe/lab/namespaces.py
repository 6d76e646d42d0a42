"""Network namespaces held as file descriptors: no name, no mount, so nothing outlives the process that made them."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from probe.model.errors import CannotMeasure, NoPermission

CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_LIBC = ctypes.CDLL(None, use_errno=True)

_SIOCETHTOOL = 0x8946
# ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO (linux/ethtool.h)
_OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_CARRIER = 5.0  # seconds


def _check(result: int, what: str) -> None:
    if result == 0:
        return
    number = ctypes.get_errno()
    if number == 1:  # EPERM
        raise NoPermission(what, "run as root, or inside `unshare -Urn`")
    raise OSError(number, f"{what}: {os.strerror(number)}")


class Namespace:
    """One network namespace; it lives as long as this descriptor, a socket or a process in it.

    ``path`` is where another process opens it (while this one lives).
    """

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd

    @classmethod
    def create(cls, name: str) -> Namespace:
        """Make an empty namespace; the calling thread stays where it was. Raises NoPermission."""
        with _returning():
            _check(_LIBC.unshare(CLONE_NEWNET), "making a network namespace")
            return cls(name, os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def open(cls, name: str, path: str) -> Namespace:
        """Open a namespace that another process holds. Raises OSError if it is gone."""
        return cls(name, os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Put the calling thread into the namespace; sockets and children made meanwhile stay in it."""
        with _returning():
            _check(_LIBC.setns(self.fd, CLONE_NEWNET), f"entering {self.name}")
            yield

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket that belongs to the namespace, whoever uses it."""
        with self.inside():
            made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def sysctl(self, values: dict[str, int | str]) -> None:
        """Write settings below ``/proc/sys/net``; the calling thread must be inside."""
        for key, value in values.items():
            Path("/proc/sys/net", key).write_text(str(value), "ascii")

    def close(self) -> None:
        os.close(self.fd)


@contextlib.contextmanager
def _returning() -> Iterator[None]:
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _check(_LIBC.setns(home, CLONE_NEWNET), "going back to the first namespace")
        finally:
            os.close(home)


def raise_loopback() -> None:
    """Bring ``lo`` up where we are: inside a new namespace (``unshare -Urn``) it is down. Raises NoPermission."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        (flags,) = struct.unpack_from("16xH", fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", b"lo")))
        if flags & _IFF_UP:
            return
        try:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
        except PermissionError:
            raise NoPermission("the loopback interface is down", "as root: ip link set lo up") from None


def prepare(interfaces: list[str]) -> None:
    """Wait until interfaces carry packets; make the kernel write every checksum and segment before one enters them.

    A veth otherwise hands packets over with checksums still to be filled in, which no real wire does; user-space
    middleboxes and captures would see them. And the kernel lets a new veth carry packets only a while after both ends
    are up. The calling thread must be inside the interfaces' namespace. Raises CannotMeasure, OSError.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name in interfaces:
            _await_carrier(control, name)
            for command in _OFFLOADS:
                value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                request = struct.pack("16sP16x", name.encode(), ctypes.addressof(value))
                fcntl.ioctl(control, _SIOCETHTOOL, request)


def _await_carrier(control: socket.socket, name: str) -> None:
    deadline = time.monotonic() + _CARRIER
    request = struct.pack("16s24x", name.encode())
    while not struct.unpack_from("16xH", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[0] & _IFF_RUNNING:
        if time.monotonic() > deadline:
            raise CannotMeasure(f"interface {name} does not come up")
        time.sleep(0.002)
