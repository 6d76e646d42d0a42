"""Middleboxes in user space: what looks into packets (``inspect``) and what shows them to it (``tap``, ``relay``)."""

from __future__ import annotations

from random import Random
from typing import Protocol

from probe.lab.kinds.base import FieldRule
from probe.model.packet import Packet


class Emit(Protocol):
    """Sends a packet from where the box stands: towards the servers (``upstream``) or the homes, after a delay (s)."""

    def __call__(self, packet: Packet, *, upstream: bool, delay: float = 0.0) -> None: ...


class Inspector(Protocol):
    """Sees each packet that passes. ``in_path``: can hold packets up, so it needs the link cut in two."""

    in_path: bool

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool | Packet:
        """Look at a packet, perhaps emit others. In-path only: False swallows it, a packet takes its place."""
        ...


def fill(rule: FieldRule, mirrored: int, random: Random, low: int, high: int) -> int:
    """Value of a header field by a rule; a random one lies in ``low..high``."""
    if rule == "mirror":
        return mirrored
    if rule == "random":
        return random.randint(low, high)
    return rule
