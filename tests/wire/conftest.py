"""Valid packets of every kind, built by scapy: an oracle that shares no code with ``probe.wire``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.packet import Raw

from probe.wire import pcapng

WEB = b"HTTP/1.1 403 Forbidden\r\nServer: x\r\nContent-Length: 40\r\n\r\n<title>Blocked</title> you: 203.0.113.99"
EXTENSIONS = bytes.fromhex("2000") + (0xFFFF - 0x2000 - 0x0008 - 0x0101 - 0x1234 - 0x5678).to_bytes(2, "big") + (
    bytes.fromhex("0008010112345678")
)


def _pairs() -> list[tuple[Any, Any]]:
    """IP layers outward and inward, between the home and the world."""
    home4, home6 = "192.168.1.5", "2001:db8:5:6::5"
    far4, far6 = "198.51.100.7", "2a00:1450::7"
    return [(IP(src=home4, dst=far4, id=7), IP(src=far4, dst=home4, id=9, flags="DF")),
            (IPv6(src=home6, dst=far6), IPv6(src=far6, dst=home6, hlim=51))]


@pytest.fixture(scope="session")
def samples() -> tuple[bytes, ...]:
    """Whole packets with right checksums, both directions mixed, home 192.168.1.5 and 2001:db8:5:6::5."""
    found: list[Any] = []
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 2)), ("NOP", None), ("WScale", 7)]
    question = DNS(id=1, qd=DNSQR(qname="www.example.com"))
    answer = DNS(id=1, qr=1, qd=DNSQR(qname="www.example.com"), an=DNSRR(rrname="www.example.com", rdata="192.0.2.3"))
    for out, back in _pairs():
        found += [out / TCP(sport=4000, dport=80, flags="S", options=options),
                  back / TCP(sport=80, dport=4000, flags="SA"),
                  out / TCP(sport=4000, dport=80, flags="PA") / Raw(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
                  back / TCP(sport=80, dport=4000, flags="PA") / Raw(WEB), back / TCP(sport=443, dport=4000, flags="R"),
                  out / UDP(sport=4001, dport=53) / question, back / UDP(sport=53, dport=4001) / answer]
    four_out, four_back = _pairs()[0]
    router4 = IP(src="192.168.1.1", dst="192.168.1.5", ttl=63)
    quote_tcp = bytes(four_out / TCP(sport=4000, dport=80, seq=77) / Raw(b"x" * 100))
    quote_udp = bytes(four_out / UDP(sport=4001, dport=53) / question)
    found += [four_out / ICMP(type=8, id=3, seq=4) / Raw(b"abc"), four_back / ICMP(type=0, id=3, seq=4) / Raw(b"abc"),
              four_back / ICMP(type=13), router4 / ICMP(type=11) / Raw(quote_tcp[:28]),
              router4 / ICMP(type=11) / Raw(quote_udp),
              router4 / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(quote_tcp),
              router4 / ICMP(type=5, gw="192.168.1.2") / Raw(quote_udp),
              router4 / ICMP(type=11, length=32) / Raw(quote_tcp[:128] + EXTENSIONS),
              router4 / ICMP(type=11) / Raw(quote_tcp[:128] + EXTENSIONS),
              four_out / ICMP(type=3, code=3) / Raw(bytes(four_back / UDP(sport=53, dport=4001) / answer)),
              four_back.copy() / UDP(sport=5, dport=6, chksum=0) / Raw(b"no checksum"),
              IP(src="198.51.100.7", dst="192.168.1.5", flags="MF", id=3)
              / UDP(sport=1, dport=2, len=90) / Raw(b"y" * 32),
              IP(src="198.51.100.7", dst="192.168.1.5", frag=5, id=3, proto=17) / Raw(b"z" * 32),
              IP(src="198.51.100.7", dst="192.168.1.5", options=[b"\x07\x07\x04\xc0\xa8\x01\x01"]) / TCP(sport=80)]
    six_out, six_back = _pairs()[1]
    router6 = IPv6(src="fe80::1", dst="2001:db8:5:6::5", hlim=255)
    quote6 = bytes(six_out / TCP(sport=4000, dport=80, seq=77) / Raw(b"x" * 100))
    found += [six_out / ICMPv6EchoRequest(id=3, seq=4, data=b"abc"), router6 / ICMPv6TimeExceeded() / Raw(quote6[:48]),
              router6 / ICMPv6DestUnreach() / Raw(quote6), router6 / ICMPv6PacketTooBig(mtu=1280) / Raw(quote6),
              router6 / ICMPv6ND_NS(tgt="2001:db8:5:6::5"),
              six_back / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=5, dport=6) / Raw(b"odd"),
              six_back / IPv6ExtHdrRouting(addresses=["2001:db8:5:6::5"], segleft=0) / TCP(sport=80),
              six_back / IPv6ExtHdrFragment(offset=0, m=0, id=99) / UDP(sport=5, dport=6) / Raw(b"odd"),
              six_back / IPv6ExtHdrFragment(offset=4, m=1, id=99) / Raw(b"f" * 16)]
    return tuple(bytes(packet) for packet in found)


Dissect = Callable[..., list[dict[str, str]]]


@pytest.fixture
def dissect(tmp_path: Path) -> Dissect:
    """UDP payloads of one flow to ``port`` (or from it) as Wireshark reads them: the named fields of each."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")

    def run(payloads: list[bytes], port: int, *fields: str, decode_as: str = "") -> list[dict[str, str]]:
        out = IP(src="192.0.2.1", dst="198.51.100.7") / UDP(sport=40000, dport=port)
        back = IP(src="198.51.100.7", dst="192.0.2.1") / UDP(sport=port, dport=40000)
        raws = [bytes((back if i % 2 else out) / Raw(payload)) for i, payload in enumerate(payloads)]
        file = tmp_path / "payloads.pcapng"
        file.write_bytes(pcapng.write([(i + 1, not i % 2, raw) for i, raw in enumerate(raws)], [], "test"))
        names = ("_ws.malformed", "_ws.expert.message", *fields)
        command = ["tshark", "-r", str(file), "-T", "fields", *(word for name in names for word in ("-e", name))]
        if decode_as:
            command += ["-d", f"udp.port=={port},{decode_as}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        rows = [dict(zip(names, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]
        assert len(rows) == len(payloads)
        assert {row["_ws.malformed"] for row in rows} == {""}
        return rows

    return run
