from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import PcapNgReader

from probe.model.errors import MalformedPacket
from probe.wire.pcapng import read, write

PACKETS = st.lists(st.tuples(st.integers(0, 2**63), st.booleans(), st.binary(max_size=50).map(lambda b: b"\x45" + b)))
ONE = [(1700000000123456789, True, b"\x45abcd")]


def _block(order: str, kind: int, body: bytes) -> bytes:
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def _section(order: str, options: bytes = b"") -> bytes:
    return _block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def _interface(order: str, linktype: int, options: bytes = b"", snap: int = 0) -> bytes:
    return _block(order, 1, struct.pack(order + "HHI", linktype, 0, snap) + options)


def _enhanced(order: str, number: int, ticks: int, packet: bytes, options: bytes = b"") -> bytes:
    body = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return _block(order, 6, body + packet + bytes(-len(packet) % 4) + options)


def test_byte_for_byte() -> None:
    assert write(ONE, ["hi"], "c") == bytes.fromhex(
        "0a0d0d0a 30000000 4d3c2b1a 0100 0000 ffffffffffffffff 0100 0200 68690000 0400 0100 63000000 00000000 30000000"
        "01000000 20000000 6500 0000 00000000 0900 0100 09000000 00000000 20000000"
        "06000000 34000000 00000000 2c9c9717 15cd055f 05000000 05000000 4561626364000000"
        "0200 0400 02000000 00000000 34000000".replace("2c9c9717", struct.pack("<I", ONE[0][0] >> 32).hex())
        .replace("15cd055f", struct.pack("<I", ONE[0][0] & 0xFFFFFFFF).hex()))


@given(PACKETS, st.lists(st.text(max_size=20), max_size=3), st.text(max_size=10))
def test_read_undoes_write(packets: list[tuple[int, bool, bytes]], comments: list[str], software: str) -> None:
    data = write(packets, comments, software)
    assert data == write(packets, comments, software)
    capture = read(data)
    assert (capture.packets, capture.comments, capture.linktype, capture.dropped) == (
        tuple(packets), tuple(comments), 101, 0)


def test_scapy_and_wireshark_s_tools_open_it(tmp_path: Path, samples: tuple[bytes, ...]) -> None:
    file = tmp_path / "x.pcapng"
    start = 1700000000123456789
    packets = [(start + i, i % 2 == 0, raw) for i, raw in enumerate(samples)]
    file.write_bytes(write(packets, ["log: é", "x" * 65535], "colibri"))
    with PcapNgReader(str(file)) as reader:
        assert [bytes(packet) for packet in reader] == list(samples)
    fields = ["frame.time_epoch", "frame.packet_flags_direction", "frame.len", "frame.encap_type"]
    command = ["tshark", "-r", str(file), "-T", "fields", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [f"1700000000.{123456789 + i}" for i in range(len(samples))]
    assert [int(row[1], 0) for row in rows] == [2 - i % 2 for i in range(len(samples))]
    assert [(row[2], row[3]) for row in rows] == [(str(len(raw)), "7") for raw in samples]
    told = subprocess.run(["capinfos", str(file)], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "log: é" in told
    assert "colibri" in told


def test_packets_that_were_cut_say_how_long_they_were(tmp_path: Path, samples: tuple[bytes, ...]) -> None:
    file = tmp_path / "cut.pcapng"
    cut = [raw[: max(28 if raw[0] >> 4 == 4 else 48, len(raw) // 2)] for raw in samples]
    file.write_bytes(write([(1700000000123456789 + i, True, raw) for i, raw in enumerate(cut)]))
    command = ["tshark", "-r", str(file), "-T", "fields", "-e", "frame.len", "-e", "frame.cap_len"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [tuple(map(int, line.split("\t"))) for line in done.stdout.splitlines()]
    assert rows == [(len(raw), len(some)) for raw, some in zip(samples, cut, strict=True)]
    assert any(whole > kept for whole, kept in rows)
    assert [packet for _, _, packet in read(file.read_bytes()).packets] == cut


@pytest.mark.parametrize("order", ["<", ">"])
def test_foreign_files(order: str) -> None:
    end = bytes(4)
    microseconds = _interface(order, 1)
    binary = _interface(order, 101, struct.pack(order + "HHBxxx", 9, 1, 0x80 | 10)
                        + struct.pack(order + "HHq", 14, 8, 100) + end)
    flags = struct.pack(order + "HHI", 2, 4, 1) + end
    ethernet = bytes(12) + b"\x08\x00\x45"
    data = (_section(order, struct.pack(order + "HH4s", 1, 4, b"note") + end) + microseconds + binary
            + _block(order, 0x0BAD, b"unknown!") + _enhanced(order, 0, 7, ethernet, flags)
            + _enhanced(order, 1, 1536, b"\x60") + _enhanced(order, 0, 8, bytes(12) + b"\x08\x06arp")
            + _block(order, 3, struct.pack(order + "I", 15) + ethernet + b"\0")
            + _block(order, 2, struct.pack(order + "HHIIII", 1, 0, 0, 1024, 1, 1) + b"\x45\0\0\0"))
    capture = read(data)
    assert capture.packets == ((7000, False, b"\x45"), (101_500_000_000, None, b"\x60"), (0, None, b"\x45"),
                               (101_000_000_000, None, b"\x45"))
    assert (capture.comments, capture.linktype, capture.dropped) == (("note",), 1, 1)
    twice = read(data + _section("<") + _interface("<", 228) + _enhanced("<", 0, 1, b"\x45"))
    assert twice.packets == (*capture.packets, (1000, None, b"\x45"))


def test_simple_packets_are_cut_at_the_snap_length() -> None:
    data = _section("<") + _interface("<", 101, snap=2) + _block("<", 3, struct.pack("<I", 99) + b"\x45ab\0")
    assert read(data).packets == ((0, None, b"\x45a"),)


def test_classic_files_and_empty_ones() -> None:
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    assert read(head + struct.pack("<IIII", 1, 2, 1, 1) + b"\x45").packets == ((1_000_000_002, None, b"\x45"),)
    assert read(write([])).packets == ()


GOOD = write(ONE)


@pytest.mark.parametrize(("data", "where"), [
    (b"", "byte 0"), (b"GIF89a", "byte 0"), (GOOD[:-1], "byte 64"), (GOOD[:-4], "byte 64"), (GOOD + b"x", "byte 112"),
    (GOOD[:8] + b"????" + GOOD[12:], "byte 8"), (GOOD[:12] + b"\2" + GOOD[13:], "byte 12"),
    (GOOD[:-4] + bytes(4), "byte 108"), (_section("<") + _enhanced("<", 0, 0, b"x"), "interface 0"),
    (_section("<") + _interface("<", 1) + _block("<", 6, bytes(16)), "too short"),
    (_section("<") + _interface("<", 1) + _block("<", 6, bytes(12) + b"\xff\0\0\0" + bytes(4)), "run over"),
    (_section("<") + _interface("<", 1, struct.pack("<HH", 9, 200)), "option cut"),
])
def test_broken_files_say_where(data: bytes, where: str) -> None:
    with pytest.raises(MalformedPacket, match=where):
        read(data)


def test_what_does_not_fit() -> None:
    for packets, comments in (([(-1, True, b"")], []), ([(1 << 64, True, b"")], []), ([], ["é" * 32768])):
        with pytest.raises(MalformedPacket):
            write(packets, comments)
