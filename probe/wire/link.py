"""Link-layer headers of captures, taken off (https://www.tcpdump.org/linktypes.html)."""

from __future__ import annotations

NULL, ETHERNET, RAW_BSD, RAW, LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2 = 0, 1, 12, 101, 108, 113, 228, 229, 276

_IP_TYPES = {b"\x08\x00": 4, b"\x86\xdd": 6}
_VLAN = frozenset({b"\x81\x00", b"\x88\xa8", b"\x91\x00"})
_FAMILIES = {2: 4, 10: 6, 24: 6, 28: 6, 30: 6}  # AF_INET; AF_INET6 of Linux, NetBSD, FreeBSD, macOS
_RAW_VERSIONS = {RAW_BSD: (4, 6), RAW: (4, 6), IPV4: (4,), IPV6: (6,)}
_OUTGOING = 4  # packet type of the "cooked" headers


def strip(linktype: int, frame: bytes) -> tuple[bytes, bool | None] | None:
    """The IP packet in a frame and whether it was outgoing (None: the header does not tell).

    None for a frame that holds no IP packet, and for link types that are not known here.
    """
    outgoing: bool | None = None
    if linktype in _RAW_VERSIONS:
        return (frame, None) if frame and frame[0] >> 4 in _RAW_VERSIONS[linktype] else None
    if linktype == ETHERNET:
        at = 12
        while frame[at : at + 2] in _VLAN:
            at += 4
        version, at = _IP_TYPES.get(frame[at : at + 2]), at + 2
    elif linktype == LINUX_SLL and len(frame) >= 16:
        version, at, outgoing = _IP_TYPES.get(frame[14:16]), 16, frame[1] == _OUTGOING
    elif linktype == LINUX_SLL2 and len(frame) >= 20:
        version, at, outgoing = _IP_TYPES.get(frame[:2]), 20, frame[10] == _OUTGOING
    elif linktype in (NULL, LOOP) and len(frame) >= 4:
        # NULL is in the byte order of the machine that captured, LOOP in network order: take the one that makes sense
        family = min(int.from_bytes(frame[:4], "little"), int.from_bytes(frame[:4], "big"))
        version, at = _FAMILIES.get(family), 4
    else:
        return None
    packet = frame[at:]
    return (packet, outgoing) if packet and packet[0] >> 4 == version else None
