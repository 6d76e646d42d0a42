"""Every kind of box that looks into packets has its code."""

from __future__ import annotations

from random import Random
from typing import get_args

import msgspec
import pytest

from probe.lab.boxes.make import make
from probe.lab.kinds import Inspecting
from probe.model.packet import Flags, Packet, Tcp

# What has no default in any of them.
NEEDED = {"at": "x", "names": ("a.example",), "words": ("a.example",), "match": ("stun",), "rate": 100}


@pytest.mark.parametrize("kind", get_args(Inspecting), ids=lambda kind: kind.__name__)
def test_a_harmless_packet_passes_unchanged(kind: type[Inspecting]) -> None:
    given = {one.name: NEEDED[one.name] for one in msgspec.structs.fields(kind) if one.required}
    tag = kind.__struct_config__.tag
    inspector = make(msgspec.convert({"kind": tag, **given}, kind), Random(1), lambda: 0.0)
    header = Tcp(5000, 8080, 1, 1, Flags.ACK, 500)
    packet = Packet(4, "198.18.10.100", "203.0.113.10", 60, 6, 0, 1, header=header)

    def emit(packet: Packet, *, upstream: bool, delay: float = 0.0) -> None:
        pytest.fail("it spoke")

    assert all(inspector.see(packet, upstream, emit) is True for upstream in (True, False))
