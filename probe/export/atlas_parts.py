"""The building blocks of RIPE Atlas results: hops of a traceroute, answers of a DNS query."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from typing import Any

from probe.export.details import Hop, Shown
from probe.export.lookups import Lookup
from probe.model.errors import MalformedPacket
from probe.wire import dns

SILENCE = {"x": "*"}
WAIT_MS = 2000
"""How long the measurements wait for a DNS answer."""
_PACKETS = 20  # answers of one router: a run has that many trials at most


def family(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def shown(path: list[Shown], destination: str, arrives: int | None, rtt: float | None) -> list[dict[str, Any]]:
    """The hops of a path of which it is known which router answered at which TTL.

    TTLs in between that nobody answered at are silent; the home's router, whose address never leaves it, is too.
    ``arrives``: the TTL that reaches the destination; ``rtt``: the fastest round trip there in the same run, in ms.
    """
    routers = {one.ttl: one.address for one in path}
    if arrives is not None and arrives > max(routers, default=0):
        routers[arrives] = destination
    last = max(routers, default=0)
    hops = []
    for ttl in range(1, last + 1):
        address = routers.get(ttl, "")
        packet: dict[str, Any] = {"from": address} if address else SILENCE
        if address and address == destination and ttl == arrives and rtt is not None:
            packet = {**packet, "rtt": rtt}
        hops.append({"hop": ttl, "result": [packet]})
    return hops


def traced(path: list[Hop]) -> list[dict[str, Any]]:
    """The hops of a plain path. Of a hop with one router the fastest round trip is known, of others whose it was is
    not."""
    hops = []
    for hop in path:
        packets: list[dict[str, Any]] = [
            {"from": address} for address, answers in hop.routers.items() for _ in range(min(answers, _PACKETS))
        ]
        if len(hop.routers) == 1 and packets and hop.rtt_ms is not None:
            packets[0]["rtt"] = hop.rtt_ms
        hops.append({"hop": hop.ttl, "result": packets or [SILENCE]})
    return hops


def resultset(lookups: list[Lookup], timestamp: int, lts: int, lost: Counter[str]) -> list[dict[str, Any]]:
    """Entries of ``resultset``: one an answer, so two answers to one query stand side by side."""
    entries = []
    for number, lookup in enumerate(lookups, 1):
        said: Mapping[str, Any] = {"error": {"timeout": WAIT_MS}}
        if lookup.rcode is not None:
            message = _message(lookup, lost)
            if message is None:
                lost[f"answers about a name that DNS has no form for: {lookup.name!r}"] += 1
                continue
            said = {"result": _result(message, lookup.after_ms)}
        entries.append({
            "subid": number, "submax": len(lookups), "af": family(lookup.resolver), "proto": "UDP",
            "dst_addr": lookup.resolver, "src_addr": "", "lts": lts, "time": timestamp, **said,
        })  # fmt: skip
    return entries


def _result(message: dns.Message, after_ms: float) -> dict[str, Any]:
    buffer = dns.encode(message)
    return {
        "rt": after_ms, "size": len(buffer), "ID": message.ident, "QDCOUNT": len(message.questions),
        "ANCOUNT": len(message.answers), "NSCOUNT": 0, "ARCOUNT": 0, "abuf": base64.b64encode(buffer).decode(),
    }  # fmt: skip


def _message(lookup: Lookup, lost: Counter[str]) -> dns.Message | None:
    """The answer written anew from what the finding holds: identifier 0, lifetimes 0 where they are not known. None if
    the name has no form in DNS."""
    records = []
    for kind, text in lookup.records:
        try:
            records.append(dns.record(lookup.name, kind, text, lookup.lifetime or 0))
        except MalformedPacket:
            lost[f"DNS record of type {kind}: its text can't be made bytes again"] += 1
    kinds = {record.type for record in records}
    qtype = dns.AAAA if dns.AAAA in kinds and dns.A not in kinds else dns.A
    message = dns.Message(
        0, True, rcode=lookup.rcode or dns.NOERROR, truncated=lookup.truncated, recursion_desired=True,
        questions=(dns.Question(lookup.name, qtype),), answers=tuple(records),
    )  # fmt: skip
    try:
        dns.encode(message)
    except MalformedPacket:
        return None
    return message
