"""Which address and interface the kernel would use towards a destination, and which subnets are ours."""

from __future__ import annotations

import errno
import ipaddress
import socket

import msgspec

from probe.engine import netlink
from probe.model.errors import NoRoute

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


def source_for(address: str, interface: str = "") -> str:
    """Source address that the kernel chooses towards ``address``. Sends nothing.

    Raises NoRoute where there is none.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            if interface:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            probe.connect((address, 9))
        except OSError as error:
            why = errno.errorcode.get(error.errno or 0, str(error))
            raise NoRoute(
                f"no route to {address}{' on ' + interface if interface else ''} ({why})",
                "is the cable in, and does the line work? `colibri doctor` looks closer",
            ) from None
        return str(probe.getsockname()[0])
