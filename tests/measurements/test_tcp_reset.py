"""`tcp_reset` on simulated networks: what must be found, and whom it must never accuse."""

from __future__ import annotations

import pytest

from probe.measurements.tcp_reset import worst
from probe.model.errors import CannotMeasure, UsageError
from probe.model.finding import Judgement, Target
from tests.measurements.simboxes import Dropper, Pager, Proxy, Resetter
from tests.measurements.simhosts import Resolver, Web
from tests.measurements.simnet import Network
from tests.measurements.worlds import BANNED, KNOWN, PICKY, SERVER, ask_tcp, claimed, link, net

HOPS = range(2, 9)

# What the network does → technique, rule, link.
FOUND: dict[str, tuple[Network, str, str, tuple[int, int] | None]] = {
    "reset, on the path": (net(boxes=(Resetter(at=4, names=BANNED),)), "tcp_reset", "reset-below-server", (3, 4)),
    "reset, in the path": (
        net(boxes=(Resetter(at=5, names=BANNED, in_path=True, ttl=255),)), "tcp_reset", "reset-below-server", (4, 5),
    ),
    "reset right behind the home": (
        net(boxes=(Resetter(at=2, names=BANNED),)), "tcp_reset", "reset-below-server", (1, 2),
    ),
    "its TTL arrives like the server's": (
        net(boxes=(Resetter(at=4, names=BANNED, ttl="like"),)), "tcp_reset", "reset-below-server", (3, 4),
    ),
    "its TTL is random, its sequence numbers stepped": (
        net(boxes=(Resetter(at=4, names=BANNED, ttl="random", copies=3, step=1460),)),
        "tcp_reset", "reset-below-server", (3, 4),
    ),
    "it copies TTLs, near": (
        net(boxes=(Resetter(at=3, names=BANNED, ttl="mirror"),)), "tcp_reset", "reset-with-copied-ttl", (2, 3),
    ),
    "it copies TTLs, far": (
        net(boxes=(Resetter(at=7, names=BANNED, ttl="mirror"),)), "tcp_reset", "reset-with-copied-ttl", (6, 7),
    ),
    "a forged FIN": (
        net(boxes=(Resetter(at=4, names=BANNED, flags=17, ttl=128),)), "tcp_reset", "reset-below-server", (3, 4),
    ),
    "both ends are reset": (
        net(boxes=(Resetter(at=6, names=BANNED, to_server=True),)), "tcp_reset", "reset-below-server", (5, 6),
    ),
    "a harmless name suffers too, for a while": (
        net(boxes=(Resetter(at=4, names=BANNED, residual=5, size=3),)), "tcp_reset", "reset-below-server", (3, 4),
    ),
    "the home router hides the loser of the race": (
        net(boxes=(Resetter(at=4, names=BANNED, delay=0.05),)), "tcp_reset", "reset-below-server-only", (3, 4),
    ),
    "no router answers": (
        net(silent=frozenset(HOPS), boxes=(Resetter(at=4, names=BANNED),)), "tcp_reset", "reset-below-server", (3, 4),
    ),
    "routers quote 8 bytes": (
        net(short_quotes=True, boxes=(Resetter(at=4, names=BANNED),)), "tcp_reset", "reset-below-server", (3, 4),
    ),
    "the way back is four routers shorter": (
        net(back=-4, boxes=(Resetter(at=4, names=BANNED),)), "tcp_reset", "reset-below-server", (3, 4),
    ),
    "the way divides": (
        net(uneven=2, boxes=(Resetter(at=3, names=BANNED),)), "tcp_reset", "reset-below-server", (2, 3),
    ),
    "on the last link, and at our own server too": (
        net(boxes=(Resetter(at=9, names=BANNED, ttl=200),)), "tcp_reset", "reset-at-control-too", None,
    ),
    "a drop": (net(boxes=(Dropper(at=4, names=BANNED),)), "trigger_drop", "trigger-vanishes-before-server", (3, 4)),
    "a drop, then nothing for a while": (
        net(boxes=(Dropper(at=5, names=BANNED, residual=3, size=3),)),
        "trigger_drop", "trigger-vanishes-before-server", (4, 5),
    ),
    "a drop between silent routers": (
        net(silent=frozenset({4, 5}), boxes=(Dropper(at=5, names=BANNED),)),
        "trigger_drop", "trigger-vanishes-before-server", (3, 6),
    ),
    "a drop on a line that rations ICMP": (
        net(limited=frozenset({6}), burst=2, boxes=(Dropper(at=4, names=BANNED),)),
        "trigger_drop", "trigger-vanishes-before-server", (3, 4),
    ),
    "a drop behind which no router answers, at our own server too": (
        net(silent=frozenset(HOPS[2:]), boxes=(Dropper(at=4, names=BANNED),)),
        "trigger_drop", "trigger-vanishes-at-control-too", None,
    ),
    "a forged page": (net(boxes=(Pager(at=4, names=BANNED),)), "block_page", "answer-below-server", (3, 4)),
    "a forged page, in the path": (
        net(boxes=(Pager(at=6, names=BANNED, in_path=True, ttl="like"),)), "block_page", "answer-below-server", (5, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("network", "technique", "rule", "where"), FOUND.values(), ids=FOUND.keys())
def test_interference_is_found_named_and_located(
    network: Network, technique: str, rule: str, where: tuple[int, int] | None
) -> None:
    for seed in range(3):
        judgement = ask_tcp(network, seed)
        assert claimed(judgement) == ("interfered", rule)
        assert judgement.interference is not None
        assert judgement.interference.technique == technique
        assert judgement.interference.location is None or link(judgement) == where
        assert (where is None) or link(judgement) == where
        assert judgement.trials.agreed >= 3
        assert 0.5 < judgement.confidence < 1
        assert judgement.reasons


HOME = (Resetter(at=1, names=BANNED),)
# Nobody on the way does anything to the name; nobody may be accused.
INNOCENT: dict[str, tuple[Network, str]] = {
    "an honest line": (net(), "clean"),
    "the server resets the name": (net(PICKY), "reset-may-be-the-servers"),
    "… on ways that differ by a hop": (net(PICKY, uneven=1), "reset-may-be-the-servers"),
    "… by two hops": (net(PICKY, uneven=2), "reset-may-be-the-servers"),
    "… by three hops, no router answers": (net(PICKY, uneven=3, silent=frozenset(HOPS)), "reset-may-be-the-servers"),
    "… and the way back is shorter": (net(PICKY, back=-3, uneven=1), "reset-may-be-the-servers"),
    "… three times": (net(Web(names=KNOWN, unknown="reset", copies=3)), "reset-may-be-the-servers"),
    "… by a balancer with a TTL of its own": (
        net(Web(names=KNOWN, unknown="reset", reset_ttl=255)), "reset-may-be-the-servers",
    ),
    "… by a box that copies TTLs": (
        net(Web(names=KNOWN, unknown="reset", reset_ttl="mirror")), "reset-may-be-the-servers",
    ),
    "… the way back being four routers shorter": (
        net(Web(names=KNOWN, unknown="reset", reset_ttl="mirror"), back=-4), "reset-may-be-the-servers",
    ),
    "the server closes on the name": (net(Web(names=KNOWN, unknown="close")), "reset-may-be-the-servers"),
    "the server's firewall swallows the name": (net(Web(names=KNOWN, unknown="swallow")), "silence-may-be-the-servers"),
    "… behind a router that rations ICMP": (
        net(Web(names=KNOWN, unknown="swallow"), limited=frozenset({7, 8})), "silence-may-be-the-servers",
    ),
    "… behind silent routers": (
        net(Web(names=KNOWN, unknown="swallow"), silent=frozenset({6, 7, 8})), "silence-may-be-the-servers",
    ),
    "… swallows it on ways that differ by a hop": (
        net(Web(names=KNOWN, unknown="swallow"), uneven=1), "silence-may-be-the-servers",
    ),
    "the server takes the name and says nothing": (net(Web(names=KNOWN, unknown="mute")), "no-answer"),
    "the server has a page for the name": (net(Web(names=KNOWN, unknown="page")), "clean"),
    "the server bans whoever asks for the name": (
        net(Web(names=KNOWN, unknown="reset", banned_after=2, ban=900)), "control-did-not-recover",
    ),
    "a balancer whose data have another TTL": (net(Web(data_ttl=255)), "clean"),
    "an answer in pieces, ended by a reset": (net(Web(pieces=4, farewell="reset")), "clean"),
    "a slow server": (net(Web(delay=1.2)), "clean"),
    "the server's port is closed": (net(Web(port="closed")), "handshake-refused"),
    "the server's port is filtered": (net(Web(port="filtered")), "handshake-timeout"),
    "the server is reported unreachable": (net(Web(port="unreachable")), "handshake-unreachable"),
    "a firewall on the server's link": (
        net(boxes=(Resetter(at=9, names=BANNED, only=SERVER, ttl=200),)), "reset-may-be-the-servers",
    ),
    "a firewall on the link before it": (
        net(boxes=(Resetter(at=8, names=BANNED, only=SERVER, ttl=200, in_path=True),)), "reset-may-be-the-servers",
    ),
    "a firewall there swallows the name": (
        net(boxes=(Dropper(at=8, names=BANNED, only=SERVER),)), "silence-may-be-the-servers",
    ),
    "an intrusion system beside the server": (
        net(boxes=(Resetter(at=9, names=BANNED, only=SERVER, ttl="like", copies=2),)), "reset-may-be-the-servers",
    ),
    "a box before the server resets every name": (
        net(boxes=(Resetter(at=9, names=("",), ttl=200, in_path=True),)), "control-cut",
    ),
    "a proxy answers for every server": (net(boxes=(Proxy(at=4),)), "clean"),
    "the home's router filters": (net(boxes=HOME), "home-router-acts"),
    "… what it forwards": (
        net(boxes=(Resetter(at=1, names=BANNED, forwards=True, in_path=True),)), "home-router-acts",
    ),
    "… what it forwards, with a TTL of its own choice": (
        net(boxes=(Resetter(at=1, names=BANNED, forwards=True, in_path=True, ttl=200),)), "home-router-acts",
    ),
    "… what it forwards, with the server's own TTL": (
        net(boxes=(Resetter(at=1, names=BANNED, forwards=True, in_path=True, ttl="like"),)), "home-router-acts",
    ),
    "… silently": (net(boxes=(Dropper(at=1, names=BANNED, forwards=True),)), "home-router-acts"),
    "… silently, and no router tells": (
        net(silent=frozenset(HOPS), boxes=(Dropper(at=1, names=BANNED, forwards=True),)), "silence-may-be-the-servers",
    ),
    "… and shows no address": (net(silent=frozenset({1}), boxes=HOME), "home-router-acts"),
    "the second of two home routers filters": (
        net(home=2, boxes=(Resetter(at=2, names=BANNED, forwards=True, in_path=True),)), "home-router-acts",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("network", "rule"), INNOCENT.values(), ids=INNOCENT.keys())
def test_nobody_is_accused_of_what_the_server_or_the_home_does(network: Network, rule: str) -> None:
    rules = set()
    for seed in range(6):
        judgement = ask_tcp(network, seed)
        assert judgement.verdict in ("clean", "inconclusive")
        assert judgement.interference is None
        rules.add(claimed(judgement)[1])
    assert rule in rules


def test_a_reset_that_takes_its_time_is_placed_too() -> None:
    judgement = ask_tcp(net(boxes=(Resetter(at=4, names=BANNED, in_path=True, delay=1.0),)))
    assert (claimed(judgement), link(judgement)) == (("interfered", "reset-below-server"), (3, 4))


def test_a_probe_without_a_home_router_may_accuse_the_first_one() -> None:
    assert link(ask_tcp(net(home=0, boxes=(Resetter(at=1, names=BANNED),)))) == (0, 1)


def test_a_bare_host_is_asked_in_both_ways_and_the_worse_one_counts() -> None:
    network = net(boxes=(Resetter(at=4, names=BANNED),))
    judgement = ask_tcp(network, target="banned.example")
    assert judgement.verdict == "interfered"
    also = judgement.details["also"]
    assert {judgement.target.port, *(one["port"] for one in also)} == {80, 443}


def test_over_ipv6() -> None:
    address = "2001:db8:f::10"
    network = Network(version=6, hosts={address: Web()}, boxes=(Resetter(at=4, names=BANNED, in_path=True),))
    judgement = ask_tcp(network, target="https://banned.example/", address=address, control_address="")
    assert claimed(judgement) == ("interfered", "reset-below-server")
    assert link(judgement) == (3, 4)
    assert judgement.interference is not None
    assert judgement.interference.placement == "in_path"


@pytest.mark.parametrize(("in_path", "placement"), [(True, "in_path"), (False, "on_path")])
def test_it_tells_a_box_in_the_path_from_one_beside_it(in_path: bool, placement: str) -> None:
    judgement = ask_tcp(net(boxes=(Resetter(at=4, names=BANNED, in_path=in_path),)))
    assert judgement.interference is not None
    assert judgement.interference.placement == placement


def test_a_name_is_resolved_where_no_address_is_given() -> None:
    network = net(resolver=Resolver(), web=Web())
    judgement = ask_tcp(network, address="", resolver="203.0.113.53")
    assert judgement.target.address == "203.0.113.7"  # what the resolver says; nobody listens there
    assert claimed(judgement)[1] == "handshake-timeout"


def test_a_name_without_an_address_cannot_be_measured() -> None:
    with pytest.raises(CannotMeasure, match="gave no address"):
        ask_tcp(net(resolver=Resolver(missing=BANNED)), address="", resolver="203.0.113.53")


@pytest.mark.parametrize(
    ("options", "words"), [({"control_name": ""}, "--control-name"), ({"address": ""}, "--address")]
)
def test_what_is_missing_is_said(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ask_tcp(net(), 1, **options)


def test_the_worst_of_several_judgements() -> None:
    def judged(verdict: str, rule: str, sure: float) -> Judgement:
        return Judgement(verdict=verdict, rule=f"tcp_reset/{rule}", target=Target("x"), confidence=sure)  # type: ignore[arg-type]

    clean, closed = judged("clean", "clean", 0.8), judged("inconclusive", "handshake-refused", 0.0)
    odd, cut = judged("inconclusive", "no-answer", 0.0), judged("interfered", "reset-below-server", 0.9)
    assert worst([clean, closed]).rule == "tcp_reset/clean"
    assert worst([clean, odd]).rule == "tcp_reset/no-answer"
    assert worst([odd, cut, clean]).rule == "tcp_reset/reset-below-server"
    assert worst([closed]).rule == "tcp_reset/handshake-refused"
    assert [one["verdict"] for one in worst([clean, cut]).details["also"]] == ["clean"]


def test_more_about_the_box_changes_no_verdict() -> None:
    network = net(boxes=(Resetter(at=4, names=BANNED, residual=20, size=4),))
    plain, more = ask_tcp(network), ask_tcp(network, residual=True, variants=True)
    assert (plain.verdict, plain.rule, plain.confidence) == (more.verdict, more.rule, more.confidence)
    assert more.details["residual"]["remembers"] == "4-tuple"
    assert more.details["variants"]["header word in mixed case"] == {"blocked": 3, "of": 3, "twins_served": 3}
    assert len(more.reasons) == len(plain.reasons) + 2
    for network in (net(), net(PICKY)):
        quiet = ask_tcp(network, residual=True, variants=True)
        assert quiet.verdict != "interfered"
        assert not {"residual", "variants"} & set(quiet.details)
