"""Captures that others took (tcpdump, Wireshark, a phone): judged as far as their packets allow."""

from __future__ import annotations

from probe.measurements._foreign import dns, path, tcp
from probe.measurements._foreign.packets import Taken
from probe.model.errors import MalformedPacket, MalformedRecord
from probe.model.finding import Judgement, Target
from probe.wire import ip, pcapng

VERSION = "1"
"""Of the rules for such captures."""


def judge(data: bytes, where: str) -> list[Judgement]:
    """All that a pcap or pcapng file shows: DNS races, reset connections, ways; the gravest first.

    One that shows nothing of the kind gives a single `inconclusive`. Raises MalformedRecord where it can't be read or
    holds no IP packet.
    """
    try:
        capture = pcapng.read(data)
    except MalformedPacket as error:
        raise MalformedRecord(where, str(error)) from None
    taken: list[Taken] = []
    unread = capture.dropped
    for ns, _, octets in capture.packets:
        try:
            taken.append(Taken(ns / 1e9, ip.decode(octets)))
        except MalformedPacket:
            unread += 1
    if not taken:
        raise MalformedRecord(where, f"a capture without a single IP packet that can be read ({unread} of other kinds)")
    taken.sort(key=lambda one: one.at)
    found = [*dns.judge(taken), *tcp.judge(taken), *path.judge(taken)]
    order = {"interfered": 0, "inconclusive": 1, "down": 2, "clean": 3}
    return sorted(found, key=lambda one: order[one.verdict]) or [_nothing(len(taken), unread)]


def _nothing(packets: int, unread: int) -> Judgement:
    reason = (
        f"Among {packets} packets ({unread} more could not be read) no query got two answers, no connection that names "
        "a host was reset, and no way can be seen."
    )
    return Judgement(
        verdict="inconclusive", rule="capture/nothing-to-judge", target=Target("capture"), reasons=[reason]
    )
