"""`udp_trigger` on simulated networks: what must be found, and whom it must never accuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from probe.model.errors import UsageError
from probe.model.finding import Judgement
from tests.measurements.simfar import FAR, Far
from tests.measurements.simnet import Host, Network, measure
from tests.measurements.simudp import QuicServer, UdpFilter
from tests.measurements.worlds import BANNED, KNOWN, SERVER, claimed, link

BAD_LINE: dict[str, Any] = {"loss": 0.05, "jitter": 0.01, "reorder": 0.05}


def net(*boxes: UdpFilter, far: Far | None = None, server: QuicServer | None = None, **what: Any) -> Network:
    """A network with a reflector and a server that runs QUIC."""
    version = what.get("version", 4)
    hosts: dict[str, Host] = {FAR[version]: far or Far(), SERVER: server or QuicServer()}
    return Network(hosts=hosts, boxes=boxes, **what)


def ask(network: Network, seed: int = 1, **options: object) -> Judgement:
    """One run for a banned name."""
    given: dict[str, object] = {
        "target": "banned.example", "control_name": "good.example", "reflector": FAR[network.version],
    }  # fmt: skip
    return measure("udp_trigger", network, seed, **(given | options))


def box(at: int, **what: Any) -> UdpFilter:
    """A filter of the banned name."""
    return UdpFilter(at=at, contents=BANNED, **what)


BEFORE, TOO = "trigger-vanishes-before-far-end", "trigger-vanishes-at-reflector-too"
# What the network does → options, technique, rule, link.
FOUND: dict[str, tuple[Network, dict[str, object], str, str, tuple[int, int] | None]] = {
    "a drop": (net(box(4)), {}, "trigger_drop", BEFORE, (3, 4)),
    "of the operator's second router": (net(box(3)), {}, "trigger_drop", BEFORE, (2, 3)),
    "of what the operator's first router forwards": (net(box(2, forwards=True)), {}, "trigger_drop", BEFORE, (2, 3)),
    "to a server as well": (net(box(6)), {"address": SERVER}, "trigger_drop", BEFORE, (5, 6)),
    "right before both": (net(box(9)), {"address": SERVER}, "trigger_drop", TOO, None),
    "then nothing for a while": (net(box(4, residual=5, size=3)), {}, "trigger_drop", BEFORE, (3, 4)),
    "and the flow is remembered": (net(box(4, residual=30)), {}, "trigger_drop", BEFORE, (3, 4)),
    "it looks at the first datagram of a flow": (net(box(5, first=True)), {}, "trigger_drop", BEFORE, (4, 5)),
    "some routers are silent": (net(box(5), silent=frozenset({4, 5})), {}, "trigger_drop", BEFORE, (3, 6)),
    "a router rations ICMP": (
        net(box(4), limited=frozenset({5}), burst=2), {}, "trigger_drop", BEFORE, (3, 4),
    ),
    "routers quote 8 bytes": (net(box(4), short_quotes=True), {}, "trigger_drop", BEFORE, (3, 4)),
    "the way back is longer": (net(box(4), back=3), {}, "trigger_drop", BEFORE, (3, 4)),
    "SIP": (
        net(UdpFilter(at=4, contents=("sip",))), {"trigger": "sip"}, "voip_signalling", BEFORE, (3, 4),
    ),
    "STUN": (net(UdpFilter(at=5, contents=("stun",))), {"trigger": "stun"}, "voip_stun", BEFORE, (4, 5)),
    "rejected by ICMP": (net(box(4, does="reject")), {}, "icmp_reject", "rejected-before-far-end", (3, 4)),
}  # fmt: skip


SEEDS = [pytest.param(range(3), id="quick"), pytest.param(range(3, 12), id="more", marks=pytest.mark.long)]


@pytest.mark.parametrize("what", FOUND)
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("seeds", SEEDS)
def test_found(what: str, version: int, seeds: range) -> None:
    network, options, technique, rule, where = FOUND[what]
    if version == 6 and (network.short_quotes or "address" in options):
        pytest.skip("IPv6 has no identification to tell a short quote by; the server has an IPv4 address")
    if version == 6:
        network = dataclasses.replace(network, hosts={FAR[6]: Far()}, version=6)
    for seed in seeds:
        judgement = ask(network, seed, **options)
        assert claimed(judgement) == ("interfered", rule), judgement.reasons
        assert judgement.interference is not None
        assert judgement.interference.technique == technique
        assert link(judgement) == where
        assert judgement.confidence > 0.7


@pytest.mark.parametrize("what", ["a drop", "then nothing for a while", "SIP", "STUN"])
def test_found_on_a_bad_line(what: str) -> None:
    network, options, _, rule, where = FOUND[what]
    network = dataclasses.replace(network, **BAD_LINE)
    right = 0
    for seed in range(20):
        judgement = ask(network, seed, **options)
        if judgement.verdict == "interfered":
            assert judgement.rule == f"udp_trigger/{rule}"
            found = link(judgement)
            assert where is not None
            assert found is not None
            assert found[0] <= where[0] < where[1] <= found[1]
            right += 1
    assert right >= 19


OWN = QuicServer(names=KNOWN)
# The innocent network → options, the rules that may come out.
INNOCENT: dict[str, tuple[Network, dict[str, object], set[str]]] = {
    "nothing happens": (net(), {}, {"clean"}),
    "over IPv6": (net(version=6), {}, {"clean"}),
    "SIP is free": (net(), {"trigger": "sip"}, {"clean"}),
    "STUN is free": (net(), {"trigger": "stun"}, {"clean"}),
    "the server ignores unknown names": (
        net(server=OWN), {"address": SERVER}, {"silence-may-be-the-far-ends"},
    ),
    "so does the only server asked": (
        net(server=OWN), {"address": SERVER, "reflector": ""}, {"silence-may-be-the-far-ends"},
    ),
    "a firewall right before the server": (
        net(box(8, only=SERVER)), {"address": SERVER, "reflector": ""}, {"silence-may-be-the-far-ends"},
    ),
    "the server runs no QUIC": (
        net(server=QuicServer(answers=False)), {"address": SERVER, "reflector": ""}, {"control-failed"},
    ),
    "nobody is there": (Network(), {}, {"control-failed"}),
    "the line's IPv6 is broken": (Network(version=6), {}, {"control-failed"}),
    "the home router filters": (net(box(1)), {}, {"home-router-acts"}),
    "the home router filters what it forwards": (net(box(1, forwards=True)), {}, {"home-router-acts"}),
    "the home's second router filters": (net(box(2, forwards=True), home=2), {}, {"home-router-acts"}),
    "the home filters, no router beyond speaks": (
        net(box(1, forwards=True), silent=frozenset(range(2, 9))), {"address": SERVER},
        {"home-router-acts", "silence-may-be-the-far-ends"},
    ),
    "the home blocks for a while": (
        net(box(1, forwards=True, residual=3, size=3)), {}, {"home-router-acts"},
    ),
    "the home blocks for long": (net(box(1, residual=1000, size=3)), {}, {"control-did-not-recover"}),
    "the home rejects by ICMP": (net(box(1, does="reject")), {}, {"home-router-acts"}),
    "no router speaks": (
        net(box(4), silent=frozenset(range(1, 9))), {"address": SERVER}, {"silence-may-be-the-far-ends"},
    ),
    "ways of different length, and a server of its own mind": (
        net(server=OWN, uneven=3), {"address": SERVER}, {"silence-may-be-the-far-ends"},
    ),
    "all routers ration ICMP, and a server of its own mind": (
        net(server=OWN, limited=frozenset(range(1, 9)), burst=2), {"address": SERVER},
        {"silence-may-be-the-far-ends"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", INNOCENT)
@pytest.mark.parametrize("line", [{}, BAD_LINE], ids=["good line", "bad line"])
@pytest.mark.parametrize("seeds", SEEDS)
def test_never_accused(what: str, line: dict[str, Any], seeds: range) -> None:
    network, options, rules = INNOCENT[what]
    network = dataclasses.replace(network, **line)
    for seed in seeds:
        judgement = ask(network, seed, **options)
        assert judgement.verdict != "interfered", judgement.reasons
        assert judgement.interference is None
        # On a bad line anything but an accusation may come out; on a good one, just what is meant.
        assert line or claimed(judgement)[1] in rules


@pytest.mark.parametrize("count", [15, pytest.param(40, marks=pytest.mark.long)])
def test_loss_never_accuses(count: int) -> None:
    for seed in range(count):
        judgement = ask(net(loss=0.3, lossy_link=1 + seed % 8, jitter=0.05), seed, address=SERVER)
        assert judgement.verdict != "interfered", judgement.reasons


def test_answers_from_the_way_are_told_but_accuse_nobody() -> None:
    for seed in range(5):
        judgement = ask(net(box(4, does="answer")), seed, locate=True)
        assert claimed(judgement) == ("inconclusive", "answer-below-far-end")


def test_residual_blocking_is_told() -> None:
    judgement = ask(net(box(4, residual=5, size=3)))
    assert judgement.details["one_by_one"]
    assert max(judgement.details["residual_s"]) == 6.0
    assert "even harmless datagrams" in judgement.reasons[-1]


def test_a_token_is_renewed_where_waiting_takes_long() -> None:
    judgement = ask(net(box(4, residual=60, size=3)))
    assert claimed(judgement) == ("interfered", BEFORE)
    assert sum(judgement.details["residual_s"]) > 300


def test_words_for_a_layman() -> None:
    judgement = ask(net(box(4)), address=SERVER)
    assert "vanished, harmless ones (for good.example) did not" in judgement.reasons[0]
    assert "harmless datagrams were answered" in judgement.reasons[2]
    assert "on the link between hop 3 (198.51.0.3) and hop 4 (198.51.0.4)" in judgement.reasons[3]
    assert judgement.target.name == "banned.example"
    nothing = ask(Network(version=6))
    assert "IPv6 is broken" in nothing.reasons[0]


def test_wrong_use() -> None:
    wrong: tuple[dict[str, object], ...] = (
        {"control_name": ""}, {"reflector": ""}, {"trigger": "sip", "reflector": "", "address": SERVER},
    )  # fmt: skip
    for options in wrong:
        with pytest.raises(UsageError):
            measure("udp_trigger", net(), 1, **({"target": "a.example", "control_name": "b.example"} | options))
    assert claimed(ask(net(), reflector="", control_address=SERVER)) == ("clean", "clean")
