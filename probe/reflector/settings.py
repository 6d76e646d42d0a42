"""What a reflector is told at its start."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Who this reflector is.

    ``secret`` makes tokens, ``peer_key`` (shared) proves peers to each other; ``addresses``: its own, as the world
    knows them; ``udp``, ``tcp``: ports that it serves; ``random``: those that no service is known by. ``zone``: the DNS
    zone it answers for, "" for none. ``peers``: name → address of reflectors it may ask.
    """

    secret: bytes
    peer_key: bytes = b""
    name: str = ""
    zone: str = ""
    addresses: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    udp: tuple[int, ...] = ()
    tcp: tuple[int, ...] = ()
    random: tuple[int, ...] = ()
    certificate: str = ""
    peers: dict[str, str] = {}
