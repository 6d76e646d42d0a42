from __future__ import annotations

import struct
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from probe.model.errors import MalformedPacket
from probe.wire.pcap import Frame, classic_frames


def _file(order: str, magic: int, linktype: int = 101, extra: bytes = b"") -> bytes:
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, linktype)
    return head + struct.pack(order + "IIII", 1700000000, 5, 3, 9) + b"abc" + extra


@pytest.mark.parametrize(("order", "magic", "nanoseconds"), [
    ("<", 0xA1B2C3D4, 5000), (">", 0xA1B2C3D4, 5000), ("<", 0xA1B23C4D, 5), (">", 0xA1B23C4D, 5),
])
def test_both_orders_and_both_resolutions(order: str, magic: int, nanoseconds: int) -> None:
    linktypes: list[int] = []
    frames = list(classic_frames(_file(order, magic), linktypes))
    assert frames == [Frame(1700000000 * 10**9 + nanoseconds, None, 101, b"abc")]
    assert linktypes == [101]


def test_frame_check_bits_are_no_part_of_the_type() -> None:
    assert next(iter(classic_frames(_file("<", 0xA1B2C3D4, 0x54000001), []))).linktype == 1


def test_reads_what_scapy_writes(tmp_path: Path) -> None:
    # both MAC addresses given: scapy would ask the network (ARP) for a missing one
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2") / UDP()
    frame.time = 1700000000.25
    wrpcap(str(tmp_path / "x.pcap"), [frame])
    (read,) = classic_frames((tmp_path / "x.pcap").read_bytes(), [])
    assert (read.at, read.linktype, read.data) == (1700000000_250000000, 1, bytes(frame))


@pytest.mark.parametrize(("data", "where"), [
    (_file("<", 0xA1B2C3D4)[:20], "byte 20"), (_file("<", 0xA1B2C3D4)[:30], "byte 24"),
    (_file("<", 0xA1B2C3D4)[:-1], "byte 40"), (_file("<", 0xA1B2C3D4, extra=b"x"), "byte 43"),
])
def test_broken_files_say_where(data: bytes, where: str) -> None:
    with pytest.raises(MalformedPacket, match=where):
        list(classic_frames(data, []))
