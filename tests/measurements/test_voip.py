"""`voip` on simulated networks: what must be found, and whom it must never accuse."""

from __future__ import annotations

import base64
import contextlib
import gzip
import zlib
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest

from probe.agent.findings import MOST_EVIDENCE
from probe.measurements import Context, load, parse_options
from probe.model.errors import UsageError
from probe.model.finding import Judgement
from probe.model.outcome import Entry
from probe.model.packet import Udp
from probe.reflector.calls import stun_reply
from tests.measurements.simcalls import CALLS, Alg, Filter, calls_net
from tests.measurements.simfar import FAR, Far
from tests.measurements.simhosts import Web
from tests.measurements.simnet import Internet, Network, drive, measure, reply
from tests.measurements.worlds import claimed, link

CHAT, RELAY, RELAY2 = "203.0.113.20", "203.0.113.30", "203.0.113.31"
SERVICE: dict[str, Any] = {
    "target": "messenger", "chat": [f"tls:chat.example@{CHAT}"], "relays": [f"stun:{RELAY}", f"turn:{RELAY2}"],
}  # fmt: skip


def ask(network: Network, seed: int = 1, **options: Any) -> Judgement:
    """One measurement against the far end."""
    address = FAR[network.version]
    return measure("voip", network, seed, **({"target": address, "reflector": address} | options))


# What the network does → technique, rule, link.
FOUND: dict[str, tuple[Network, str, str, tuple[int, int]]] = {
    "SIP, on any port": (
        calls_net(boxes=(Filter(at=4, match=("sip",)),)), "voip_signalling", "payload-filtered", (3, 4),
    ),
    "SIP, on its port alone": (
        calls_net(boxes=(Filter(at=5, match=("sip",), ports=(5060,)),)),
        "voip_signalling", "payload-filtered-on-its-port", (4, 5),
    ),
    "SIP over TCP, dropped": (
        calls_net(boxes=(Filter(at=4, udp=False, tcp=True, match=("sip",)),)),
        "voip_signalling", "payload-filtered", (3, 4),
    ),
    "SIP over TCP, reset": (
        calls_net(boxes=(Filter(at=6, udp=False, tcp=True, match=("sip",), reset=True),)),
        "voip_signalling", "payload-filtered", (5, 6),
    ),
    "SIP in six of ten calls": (
        calls_net(boxes=(Filter(at=4, match=("sip",), share=0.6),)), "voip_signalling", "payload-filtered", (3, 4),
    ),
    "STUN": (calls_net(boxes=(Filter(at=3, match=("stun",)),)), "voip_stun", "payload-filtered", (2, 3)),
    "sound, at once": (calls_net(boxes=(Filter(at=4, match=("rtp",)),)), "voip_media", "payload-filtered", (3, 4)),
    "sound, after three seconds": (
        calls_net(boxes=(Filter(at=4, match=("rtp",), seconds=3),)), "voip_media", "payload-filtered", (3, 4),
    ),
    "sound, after 120 packets": (
        calls_net(boxes=(Filter(at=4, match=("rtp",), after=120),)), "voip_media", "payload-filtered", (3, 4),
    ),
    "sound in six of ten calls": (
        calls_net(boxes=(Filter(at=4, match=("rtp",), share=0.6),)), "voip_media", "payload-filtered", (3, 4),
    ),
    "port 5060": (calls_net(boxes=(Filter(at=4, ports=(5060,)),)), "port_block", "port-blocked", (3, 4)),
    "port 3478, refused": (
        calls_net(boxes=(Filter(at=5, ports=(3478,), refuses=True),)), "port_block", "port-blocked", (4, 5),
    ),
    "ports 5060 and 5061 of TCP": (
        calls_net(boxes=(Filter(at=4, udp=False, tcp=True, ports=(5060, 5061)),)), "port_block", "port-blocked", (3, 4),
    ),
    "all UDP but names": (calls_net(boxes=(Filter(at=4, but=(53,)),)), "udp_block", "udp-blocked", (3, 4)),
    "all UDP": (calls_net(boxes=(Filter(at=6),)), "udp_block", "udp-blocked", (5, 6)),
    "a gateway of the operator": (calls_net(boxes=(Alg(at=4),)), "sip_alg", "sip-rewritten", (3, 4)),
    "SIP, on a lossy line": (
        calls_net(boxes=(Filter(at=4, match=("sip",)),), loss=0.05, jitter=0.01, reorder=0.05),
        "voip_signalling", "payload-filtered", (3, 4),
    ),
    "SIP, behind silent routers": (
        calls_net(boxes=(Filter(at=5, match=("sip",)),), silent=frozenset({4, 5})),
        "voip_signalling", "payload-filtered", (3, 6),
    ),
    "SIP, over IPv6": (
        calls_net(6, boxes=(Filter(at=4, match=("sip",)),)), "voip_signalling", "payload-filtered", (3, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_it_finds(name: str) -> None:
    network, technique, rule, place = FOUND[name]
    judgement = ask(network)
    assert claimed(judgement) == ("interfered", rule)
    assert judgement.interference is not None
    assert judgement.interference.technique == technique
    assert link(judgement) == place
    assert judgement.confidence > 0.6


# What the network does → rules that it may give; never interfered.
INNOCENT: dict[str, tuple[Network, set[str]]] = {
    "nothing": (calls_net(), {"clean"}),
    "nothing, over IPv6": (calls_net(6), {"clean"}),
    "loss": (calls_net(loss=0.05, jitter=0.02, reorder=0.05, duplicate=0.05), {"clean"}),
    "heavy loss": (calls_net(loss=0.15, jitter=0.05), {"clean", "fails-now-and-then", "one-protocol-silent"}),
    "the home filters SIP": (calls_net(boxes=(Filter(at=1, match=("sip",)),)), {"filtered-somewhere"}),
    "the home, or the first link": (calls_net(boxes=(Filter(at=2, match=("sip",)),)), {"filtered-somewhere"}),
    "two routers at home, the second filters": (
        calls_net(home=2, boxes=(Filter(at=3, match=("sip", "rtp")),)), {"filtered-somewhere"},
    ),
    "the home blocks a port": (calls_net(boxes=(Filter(at=1, ports=(5060,)),)), {"filtered-somewhere"}),
    "the home blocks all UDP": (calls_net(boxes=(Filter(at=1, but=(53, 47474)),)), {"udp-silent"}),
    "the home refuses SIP": (calls_net(boxes=(Filter(at=1, match=("sip",), refuses=True),)), {"filtered-somewhere"}),
    "the far end's own firewall": (calls_net(boxes=(Filter(at=9, match=("sip",)),)), {"filtered-somewhere"}),
    "the far end's network": (calls_net(boxes=(Filter(at=8, match=("sip",)),)), {"filtered-somewhere"}),
    "the far end's network refuses a port": (
        calls_net(boxes=(Filter(at=8, ports=(5060,), refuses=True),)), {"filtered-somewhere"},
    ),
    "the far end's network drops UDP": (calls_net(boxes=(Filter(at=8),)), {"udp-silent"}),
    "the far end is mute": (calls_net(far=Far(settings=CALLS, mute=True)), {"no-reflector"}),
    "nobody is there": (Network(), {"no-reflector"}),
    "a gateway at home": (calls_net(boxes=(Alg(at=2),)), {"sip-rewritten-at-home"}),
    "a gateway at home, routers that quote little": (
        calls_net(short_quotes=True, boxes=(Alg(at=2),)), {"sip-rewritten-at-home", "sip-rewritten-somewhere"},
    ),
    "a gateway at the far end": (
        calls_net(boxes=(Alg(at=9),)), {"sip-rewritten-somewhere", "sip-rewritten-at-home"},
    ),
    "no router answers": (
        calls_net(silent=frozenset(range(1, 9)), boxes=(Filter(at=5, match=("sip",)),)), {"filtered-somewhere"},
    ),
    "ways of different length, the far end filters": (
        calls_net(uneven=2, boxes=(Filter(at=9, match=("sip",)),)), {"filtered-somewhere"},
    ),
    "all datagrams stop after four seconds": (calls_net(boxes=(Filter(at=4, seconds=4.0),)), {"all-sound-stops"}),
    "the far end limits its rate": (
        calls_net(boxes=(Filter(at=8, share=0.3, loses=0.5),)), {"clean", "fails-now-and-then", "filtered-somewhere"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INNOCENT)
def test_whom_it_never_accuses(name: str) -> None:
    network, rules = INNOCENT[name]
    for seed in range(2):
        judgement = ask(network, seed)
        assert judgement.interference is None
        assert judgement.verdict != "interfered"
        assert judgement.rule.partition("/")[2] in rules


def test_a_run_ends_in_time_and_keeps_to_the_budget() -> None:
    for name in ("sound, after 120 packets", "all UDP", "port 5060", "STUN"):
        network = FOUND[name][0]
        internet = Internet(network, 1)
        measurement = load("voip")
        address = FAR[network.version]
        options = parse_options(measurement, {"target": address, "reflector": address})
        drive(measurement.measure(options, Context(Random(1))), internet)
        assert internet.now <= 45
        assert internet.sent <= 45 * 180


@pytest.mark.parametrize("name", ["sound, after three seconds", "sound, after 120 packets", "port 5060"])
def test_a_bad_line_leaves_time_for_what_must_be_asked(name: str) -> None:
    """Calls that are said again and again take long: sound that lasts is played all the same, and followed."""
    network, _, rule, place = FOUND[name]
    for seed in range(2):
        internet = Internet(replace(network, loss=0.05, jitter=0.02, reorder=0.02), seed)
        measurement = load("voip")
        options = parse_options(measurement, {"target": FAR[4], "reflector": FAR[4]})
        judgement = drive(measurement.measure(options, Context(Random(seed))), internet)
        assert claimed(judgement) == ("interfered", rule)
        assert link(judgement) == place
        assert internet.now <= 46
        real = [one for one in judgement.details["media"] if not one["twin"]]
        assert sum(one["packets"] * one["interval_ms"] >= 9500 for one in real) >= 2


def test_a_run_of_many_calls_fits_into_a_message_of_the_feed() -> None:
    """Thousands of packets of sound: an account of them, and a few of each stream."""
    internet = Internet(replace(FOUND["sound, after 120 packets"][0], loss=0.05, jitter=0.02), 1)
    measurement = load("voip")
    options = parse_options(measurement, {"target": FAR[4], "reflector": FAR[4]})
    steps = measurement.measure(options, Context(Random(1)))
    entries: list[Entry] = []
    bulk, packets = b"", 0
    batch = next(steps)
    with contextlib.suppress(StopIteration):
        while True:
            exchanges = internet.perform(batch)
            entries += [Entry(step=e.step, port=50_000, began=1, ended=2, account=e.account) for e in exchanges]
            heard = [h for e in exchanges for h in e.heard]
            packets += len(heard)
            # Headers that change in four bytes of time, four of numbers and checksums, as they would in a capture.
            bulk += b"".join(bytes(32) + internet.random.randbytes(8) + h.packet.payload for h in heard)
            batch = steps.send(exchanges)
    assert internet.sent > 1.5 * packets
    log = base64.b64encode(zlib.compress(msgspec.json.encode(entries), 9))
    assert len(gzip.compress(log + bulk)) <= MOST_EVIDENCE


def service(*boxes: Any, hosts: dict[str, Any] | None = None) -> Network:
    """A network with a messenger: a server for chat and two relays for calls."""
    ends = {CHAT: Web(), RELAY: Stun(), RELAY2: Stun()}
    return calls_net(hosts=ends | (hosts or {}), boxes=boxes)


class Stun(Far):
    """Answers STUN of strangers, as public servers do."""

    def receive(self, net: Internet, flow: Any, packet: Any, memory: dict[Any, Any]) -> None:  # noqa: ARG002
        """A Binding or an Allocate."""
        if isinstance(packet.header, Udp):
            data = stun_reply(packet.payload, "198.51.100.77", packet.header.source_port, "relay.example") or b""
            header = Udp(packet.header.destination_port, packet.header.source_port, 8 + len(data))
            back = reply(packet, 64, header, data, 7)
            net.inward(flow, back, net.back(flow), net.now, behind=net.distance(flow))


class Nobody(Stun):
    """Takes everything and says nothing."""

    def receive(self, net: Internet, flow: Any, packet: Any, memory: dict[Any, Any]) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("hosts", "rule"),
    [
        ({}, "clean"),
        ({RELAY: Nobody()}, "endpoint-fails"),
        ({CHAT: Nobody()}, "endpoint-fails"),
        ({RELAY: Nobody(), RELAY2: Nobody()}, "calls-fail-chat-works"),
        ({CHAT: Nobody(), RELAY: Nobody(), RELAY2: Nobody()}, "service-fails"),
    ],
)
def test_a_service_by_name(hosts: dict[str, Any], rule: str) -> None:
    judgement = ask(service(hosts=hosts), **SERVICE)
    assert claimed(judgement) == ("clean" if rule == "clean" else "inconclusive", rule)
    assert len({end["endpoint"] for end in judgement.details["endpoints"]}) == 3
    if rule == "calls-fail-chat-works":
        assert "Text works, calls fail" in " ".join(judgement.reasons)


def test_what_the_reflector_shows_goes_before_the_service() -> None:
    box = Filter(at=4, match=("stun",))
    judgement = ask(service(box), **SERVICE)
    assert claimed(judgement) == ("interfered", "payload-filtered")


def test_the_onset_of_a_cut_is_told_in_packets_and_seconds() -> None:
    judgement = ask(calls_net(boxes=(Filter(at=4, match=("rtp",), seconds=3),)))
    assert any("after 3.0 to 3" in reason for reason in judgement.reasons)
    cut = [stream for stream in judgement.details["media"] if not stream["twin"]]
    assert cut
    assert all(2.9 <= stream["cut_at_s"] <= 3.2 and stream["mos_up"] < 2 for stream in cut)


def test_sound_lost_on_the_way_back_alone_is_told_apart() -> None:
    judgement = ask(calls_net(boxes=(Filter(at=4, match=("rtp",), down=True),)))
    assert claimed(judgement) == ("inconclusive", "filtered-somewhere")
    assert any("On the way up 0%" in reason and "down 100%" in reason for reason in judgement.reasons)


def test_a_far_end_that_does_not_serve_a_port_is_not_held_against_anybody() -> None:
    settings = msgspec.structs.replace(CALLS, udp=(20_001, 47474, 5060), random=(20_001,))
    judgement = ask(calls_net(far=Far(settings=settings)))
    assert claimed(judgement) == ("clean", "clean")
    assert set(judgement.details["questions"]) == {"sip", "sip_tcp", "sip_tls"}


def test_it_needs_a_reflector() -> None:
    with pytest.raises(UsageError, match="--reflector"):
        measure("voip", Network(), 1, target="whatsapp")
