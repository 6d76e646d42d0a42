"""Privacy at the engine's edge: a packet leaves it without any address of the home (design, "Safety")."""

from __future__ import annotations

import ipaddress

from probe.model.errors import MalformedPacket
from probe.wire import extensions, icmp
from probe.wire.address import address_bytes, address_text
from probe.wire.checksum import updated
from probe.wire.home import Network, home_networks, in_home
from probe.wire.mask import mask_addresses
from probe.wire.mask_calls import literals, mask_call

__all__ = ["Network", "Scrubber", "home_networks", "mask_addresses"]

_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_CHECKSUM_AT = {_ICMP: 2, _TCP: 16, _UDP: 6, _ICMPV6: 2}
_ECHO = {4: (0, 8), 6: (128, 129)}
_ICMP_OF = {4: _ICMP, 6: _ICMPV6}
_REDIRECT = 5
_NOP = b"\1"
_WEB_PORTS = frozenset({80, 81, 3128, 8000, 8008, 8080, 8081, 8088, 8888})
_WEB_STARTS = (b"http/", b"<!doc", b"<html", b"<head", b"<body", b"<scri", b"<meta", b"<ifra")
_CACHE = 4096
_MOST_WRITTEN = 1024


class _Place:
    """Where the parts of one IP packet lie (offsets into the data)."""

    __slots__ = ("addresses", "at", "blank", "end", "offset", "protocol", "size", "version")

    def __init__(self, data: bytearray, start: int, end: int, quoted: bool) -> None:
        """Raises MalformedPacket by the rules of ``ip.decode``; changes nothing."""
        self.version = data[start] >> 4 if start < end else 0
        self.blank: tuple[tuple[int, int], ...] = ()
        if self.version == 4 and end - start >= 20:
            self.addresses, self.size = start + 12, 4
            self.at = start + (data[start] & 15) * 4
            length = data[start + 2] << 8 | data[start + 3]
            if not start + 20 <= self.at <= end or (not quoted and start + length < self.at):
                raise MalformedPacket("IPv4 header length")
            self.end = min(end, start + length) if start + length >= self.at else end
            self.protocol = data[start + 9]
            self.offset = (data[start + 6] << 8 | data[start + 7]) & 0x1FFF
        elif self.version == 6 and end - start >= 40:
            self.addresses, self.size = start + 8, 16
            self.end = min(end, start + 40 + (data[start + 4] << 8 | data[start + 5]))
            chain = extensions.walk(data, data[start + 6], start + 40, self.end)
            if not chain.whole and not quoted:
                raise MalformedPacket("IPv6 extension header cut")
            self.at, self.protocol, self.offset = chain.at, chain.protocol, chain.offset
            self.blank = chain.spans if chain.whole else (*chain.spans, (chain.at - 4, self.end))
        else:
            raise MalformedPacket(f"no IP packet in {end - start} bytes")


class Scrubber:
    """Replaces addresses in packets, in place; one for each line, since the stand-ins are numbered as they appear.

    ``own``: addresses of this machine (canonical text). ``home``: networks of :func:`home_networks`. ``keep``: networks
    that stay although they lie in ``home`` (a lab's). ``destinations``: addresses that are measured; they always stay.
    """

    def __init__(
        self,
        own: frozenset[str],
        home: tuple[Network, ...],
        keep: tuple[Network, ...] = (),
        destinations: frozenset[str] = frozenset(),
    ) -> None:
        self._own = frozenset(address_bytes(text) for text in own)
        self._home = home
        self._keep = keep
        self._destinations = destinations
        self._stand_ins: dict[bytes, bytes] = {}
        self._numbered = {4: 0, 16: 0}
        self._foreign: set[bytes] = set()
        self._written: set[str] = set()

    def scrub(self, data: bytearray, outgoing: bool) -> None:
        """Scrub one IP packet in place; its length stays. Raises MalformedPacket if it is none (then don't keep it).

        * The source of an outgoing packet, the destination of an incoming one, and the same side of the packet that an
          ICMP error quotes (ours, or our address outside the NAT) become ``0.0.0.0`` or ``::``, as do the own
          addresses anywhere else; other addresses of the home become ``0.0.0.1``, ``::1`` and so on.
        * What may carry further addresses is blanked: IPv4 options, IPv6 options and routes, Ethernet padding, ICMP
          messages that are neither echo nor error, an ICMP error inside a quote. In incoming web pages,
          :func:`mask_addresses` is applied, in answers of STUN and SIP servers :func:`mask_call`; there, and in quotes
          of what went out, the addresses stay that we wrote ourselves.
        * Checksums are corrected incrementally (RFC 1624): right ones stay right, wrong ones wrong.

        Doing it twice changes nothing more.
        """
        self._packet(data, 0, len(data), outgoing, quoted=False)

    def text(self, payload: bytes, sent: bytes = b"") -> bytes:
        """What came back inside a session to what was ``sent``, treated as in the clear. Its length stays."""
        masked = mask_call(payload, literals(sent) | self._destinations)
        return masked if masked != payload or literals(payload) else mask_addresses(payload, self._destinations)

    def _packet(self, data: bytearray, start: int, end: int, outgoing: bool, quoted: bool) -> None:
        place = _Place(data, start, end, quoted)
        size, first = place.size, place.addresses
        old = bytes(data[start : place.at])
        addresses = bytes(data[first : first + 2 * size])
        source, destination = addresses[:size], addresses[size:]
        scrubbed = (
            bytes(size) + self._stand_in(destination) if outgoing else self._stand_in(source) + bytes(size)
        )
        data[first : first + 2 * size] = scrubbed
        if place.version == 4:
            data[start + 20 : place.at] = _NOP * (place.at - start - 20)
            _correct(data, start + 10, old, bytes(data[start : place.at]))
        for since, until in place.blank:
            # Options and routes may name the home; zeros are padding in the one and a void list in the other.
            data[since + 4 : until] = bytes(until - since - 4)
        data[place.end : end] = bytes(end - place.end)
        if not place.offset:
            self._body(data, place, (addresses, scrubbed), outgoing, quoted)

    def _body(
        self, data: bytearray, place: _Place, pseudo: tuple[bytes, bytes], outgoing: bool, quoted: bool
    ) -> None:
        at, end, protocol = place.at, place.end, place.protocol
        before = after = b""
        if protocol == _ICMP_OF[place.version]:
            before = bytes(data[at:end])
            self._icmp(data, place, outgoing, quoted)
            after = bytes(data[at:end])
        elif protocol in (_TCP, _UDP):
            before, after = self._speech(data, place, pseudo[0], outgoing, quoted)
        check = _CHECKSUM_AT.get(protocol)
        if check is None or end - at < check + 2:
            return
        if protocol == _ICMP:
            pseudo = (b"", b"")
        if protocol == _UDP and data[at + check : at + check + 2] == b"\0\0":
            return  # no checksum was computed (RFC 768)
        odd = bytes(len(before) & 1)
        _correct(data, at + check, pseudo[0] + before + odd, pseudo[1] + after + odd)
        if protocol == _UDP and data[at + check : at + check + 2] == b"\0\0":
            data[at + check : at + check + 2] = b"\xff\xff"

    def _icmp(self, data: bytearray, place: _Place, outgoing: bool, quoted: bool) -> None:
        at, end, version = place.at, place.end, place.version
        if end - at < 8 or data[at] in _ECHO[version]:
            return
        if quoted or not icmp.is_error(version, data[at]):
            data[at + 8 : end] = bytes(end - at - 8)
            return
        if version == 4 and data[at] == _REDIRECT:
            data[at + 4 : at + 8] = self._stand_in(bytes(data[at + 4 : at + 8]))
        cut, _ = icmp.split_quote(data, at, end, version)
        try:
            # an error that came in quotes what went out, and the other way round
            self._packet(data, at + 8, cut, not outgoing, quoted=True)
        except MalformedPacket:
            data[at + 8 : cut] = bytes(cut - at - 8)

    def _speech(
        self, data: bytearray, place: _Place, addresses: bytes, outgoing: bool, quoted: bool
    ) -> tuple[bytes, bytes]:
        """The payload before and after its addresses were masked; both empty where nothing changed."""
        at, end = place.at, place.end
        if place.protocol == _UDP:
            body = at + 8
        else:
            # data offsets count in 32 bits, so the payload begins at an even byte, as the checksum needs it
            body = max(at + (data[at + 12] >> 4) * 4, at + 20) if end - at >= 20 else end
        before = bytes(data[body:end])
        if not before:
            return b"", b""
        if outgoing and not quoted:
            if (named := literals(before)) and len(self._written) < _MOST_WRITTEN:
                self._written |= named | {address_text(addresses[place.size :])}
            return b"", b""
        after = mask_call(before, self._written | self._destinations)
        web = data[at] << 8 | data[at + 1] in _WEB_PORTS or before[:5].lower() in _WEB_STARTS
        if place.protocol == _TCP and web and not quoted and after == before:
            after = mask_addresses(before, self._destinations)
        if after == before:
            return b"", b""
        data[body:end] = after
        return before, after

    def _stand_in(self, address: bytes) -> bytes:
        """What stands for an address where no rule of position applies."""
        if address in self._foreign:
            return address
        known = self._stand_ins.get(address)
        if known is not None:
            return known
        value, size = int.from_bytes(address, "big"), len(address)
        if value < 1 << 24 or address_text(address) in self._destinations:
            return address  # a stand-in itself, or measured
        if address in self._own:
            known = bytes(size)
        elif in_home(ipaddress.ip_address(address), self._home, self._keep):
            self._numbered[size] += 1
            known = self._numbered[size].to_bytes(size, "big")
        else:
            if len(self._foreign) >= _CACHE:
                self._foreign.clear()
            self._foreign.add(address)
            return address
        self._stand_ins[address] = known
        return known


def _correct(data: bytearray, at: int, old: bytes, new: bytes) -> None:
    """Correct the 16-bit checksum at ``data[at]`` for what it covers, which was ``old`` and is ``new``."""
    if old != new:
        value = updated(data[at] << 8 | data[at + 1], old, new)
        data[at : at + 2] = value.to_bytes(2, "big")
