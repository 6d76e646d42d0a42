"""Which address and interface the kernel would use towards a destination, and which subnets are ours."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct

import msgspec

from probe.engine import netlink, sockets
from probe.model.errors import ForbiddenDestination, NoRoute

_LIBC = ctypes.CDLL(None, use_errno=True)
_NOWHERE = struct.pack("@H14x", socket.AF_UNSPEC)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Own(msgspec.Struct, frozen=True):
    """This machine's addresses: ``interfaces`` with their prefixes, and the index of the interface of each address."""

    interfaces: tuple[Interface, ...]
    index: dict[str, int]

    @property
    def addresses(self) -> frozenset[str]:
        """Every own address as text."""
        return frozenset(str(i.ip) for i in self.interfaces)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The subnets that this machine is on: the home's other devices live there."""
        return tuple(dict.fromkeys(i.network for i in self.interfaces))

    def siblings(self, source: str) -> frozenset[int]:
        """Indices of the other interfaces on the subnet of an own address.

        A machine with cable and radio in one network answers ARP for either address on both (ip-sysctl, arp_ignore):
        what is sent by the one may be answered by way of the other.
        """
        subnets = {i.network for i in self.interfaces if str(i.ip) == source}
        found = {self.index[str(i.ip)] for i in self.interfaces if i.network in subnets}
        return frozenset(found - {self.index.get(source, 0), 0})


def own_addresses() -> Own:
    """Read the addresses of all interfaces of this network namespace, loopback left out. Raises OSError where the
    kernel does not tell them."""
    _, addresses = netlink.look()
    found = [(ipaddress.ip_interface(f"{one.address}/{one.length}"), one.interface) for one in addresses]
    outside = [(interface, index) for interface, index in found if not interface.ip.is_loopback]
    return Own(tuple(one for one, _ in outside), {str(one.ip): index for one, index in outside})


class Way(msgspec.Struct, frozen=True):
    """A way out of this machine: IP version, source address, name of the interface."""

    version: int
    source: str
    interface: str

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return sockets.family(self.source)


class Feeler:
    """Asks the kernel which way leads to an address, by sockets that are connected anew for each: nothing is sent.

    ``interface``: the only one that may be used; "": any. Close it when it is done.
    """

    def __init__(self, own: Own, interface: str = "") -> None:
        self._own, self._interface = own, interface
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}
        self._ways: dict[str, Way] = {}  # by source

    def way(self, address: str) -> Way:
        """The way that the kernel would choose. Raises NoRoute where there is none, ForbiddenDestination for this
        machine itself."""
        source = self._source(address)
        if source == address:
            raise ForbiddenDestination(f"{address} is this machine itself")
        way = self._ways.get(source)
        if way is None:
            way = self._ways[source] = Way(6 if ":" in source else 4, source, self._name(source, address))
        return way

    def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def _source(self, address: str) -> str:
        sock = self._socket(sockets.family(address))
        try:
            sock.connect((address, 9))
            return str(sock.getsockname()[0])
        except OSError as error:
            on = f" on {self._interface}" if self._interface else ""
            raise NoRoute(
                f"no route to {address}{on} ({sockets.explain(error)})",
                "is the cable in, and does the line work? `colibri doctor` looks closer",
            ) from None
        finally:
            # It forgets the source that it had: the next address may have another.
            _LIBC.connect(sock.fileno(), _NOWHERE, len(_NOWHERE))

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        sock = self._sockets.get(family)
        if sock is None:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            try:
                sockets.bind_device(sock, self._interface)
            except OSError as error:
                sock.close()
                raise NoRoute(f"can't send on interface {self._interface!r}: {error.strerror}") from None
            self._sockets[family] = sock
        return sock

    def _name(self, source: str, address: str) -> str:
        if self._interface:
            return self._interface
        try:
            return socket.if_indextoname(self._own.index.get(source, 0))
        except OSError:
            raise NoRoute(f"no interface holds {source}, the source address towards {address}") from None
