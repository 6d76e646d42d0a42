"""What to sweep with: the very flows that were blocked, beside twins that got through."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.measurements import Part
from probe.measurements._voip.ask import Line
from probe.measurements._voip.call import OVER_TCP, Call
from probe.measurements._voip.media import Stream, following
from probe.measurements._voip.place import Located, Make, Suspect, locate
from probe.measurements._voip.seen import Finding, Seen
from probe.model.exchange import Step, SynStep, UdpStep

_MOST = 3  # suspects that one run sweeps for
SENDING = 0.15
"""Seconds that a round's packets take to leave, for each suspect."""


def locate_all(line: Line, seen: Seen, found: Sequence[Finding], seconds: float = 20.0) -> Part[list[Finding]]:
    """The findings with their places, the surest and the first of a call swept for, in about so many ``seconds``; the
    others stay without."""
    ordered = sorted(found, key=lambda f: f.why.cause == "port")
    chosen = ordered[:_MOST]
    suspects = [_suspect(line, seen, one) for one in chosen]
    rounds = int(seconds / (seen.patience() + SENDING * len(suspects)))
    places = yield from locate(suspects, line.address, seen.reply_ttl(), rounds)
    located = [msgspec.structs.replace(f, located=p) for f, p in zip(chosen, places, strict=True)]
    return [*located, *ordered[_MOST:]]


def locate_udp(line: Line, seen: Seen) -> Part[Located]:
    """Where datagrams end whatever they hold, beside SYNs that go on."""
    ports = line.random_ports("sip_tcp")
    wait = seen.patience()
    call = Call("stun", line.port("stun", False), False, True, line.number())

    def syn(ttl: int, number: int) -> Step:
        return SynStep(address=line.address, port=ports[number % len(ports)], ttl=ttl, flow=f"syn{number}", wait=wait)

    (found,) = yield from locate([Suspect("udp", _datagrams(line, [call], wait), syn)], line.address, seen.reply_ttl())
    return found


def _suspect(line: Line, seen: Seen, found: Finding) -> Suspect:
    """The failing kind and its twin, by the cause: the twin differs in nothing but that."""
    wait, protocol, cause = seen.patience(), found.protocol, found.why.cause
    name = f"{found.grid}/{cause}"
    bad = (cause == "port" or None, cause == "port")  # (well-known port?, twin?) of the failing kind
    known = True if cause in ("port", "payload_on_port") else bad[0]
    twin_known = False if cause == "port" else known
    if protocol == "rtp":
        same = [s for s in seen.streams if s.lasting or found.grid == "rtp"]
        bad_ones = [s for s in same if s.plan.twin is bad[1] and known in (None, s.plan.known)]
        twins = [s for s in same if s.plan.twin and twin_known in (None, s.plan.known) and not s.failed]
        # Flows that are cut stay cut; where sound is thinned out instead, those that suffer most.
        cut = [s for s in bad_ones if s.cut is not None] or sorted(bad_ones, key=lambda s: -s.loss)[:4]
        return Suspect(name, _sound(line, cut, wait), _sound(line, twins, wait))
    said = [s for s in seen.said if s.call.protocol == protocol]
    failed = [s.call for s in said if not s.answered and s.call.twin is bad[1] and known in (None, s.call.known)]
    worked = [s.call for s in said if s.answered and s.call.twin and twin_known in (None, s.call.known)]
    if protocol in OVER_TCP:
        if cause == "port":
            return Suspect(name, _syns(line, failed, wait, "bad"), _syns(line, worked, wait, "good"))
        return Suspect(name, _connections(line, failed, wait), _connections(line, worked, wait))
    return Suspect(name, _datagrams(line, failed, wait, seen), _datagrams(line, worked, wait))


def _datagrams(line: Line, calls: Sequence[Call], wait: float, seen: Seen | None = None) -> Make:
    """Requests anew on the calls' own flows, in turn; of a call that failed, the request that got no answer."""
    methods = {s.call: s.method for s in seen.said} if seen else {}

    def make(ttl: int, number: int) -> Step:
        call = calls[(ttl + number) % len(calls)]
        method = methods.get(call) or line.caller.requests(call)[0][0]
        payload = line.caller.request(call, method)
        # Several TTLs share a flow, so that another's answer must not end this one's listening.
        return UdpStep(
            address=line.address, port=call.port, payload=payload, ttl=ttl, flow=call.flow, wait=wait, linger=wait
        )

    return make


def _sound(line: Line, streams: Sequence[Stream], wait: float) -> Make:
    """The streams' own flows go on, a packet at a time."""
    sent = dict.fromkeys((s.plan.flow for s in streams), 0)

    def make(ttl: int, number: int) -> Step:
        stream = streams[(ttl + number) % len(streams)]
        flow, port = stream.plan.flow, stream.plan.port
        payload = following(stream, sent[flow])
        sent[flow] += 1
        return UdpStep(
            address=line.address, port=port, payload=payload, ttl=ttl, flow=flow, wait=wait, match=(0, len(payload))
        )

    return make


def _connections(line: Line, calls: Sequence[Call], wait: float) -> Make:
    def make(ttl: int, number: int) -> Step:
        call = calls[(ttl + number) % len(calls)]
        return line.caller.connection(call, line.caller.requests(call)[0][1], ttl, (), max(wait, 0.8))

    return make


def _syns(line: Line, calls: Sequence[Call], wait: float, flow: str) -> Make:
    def make(ttl: int, number: int) -> Step:
        call = calls[(ttl + number) % len(calls)]
        return SynStep(address=line.address, port=call.port, ttl=ttl, flow=f"{flow}{number}", wait=wait)

    return make
