"""The simulated network keeps to TCP, IP and its own dials: a test is worth what its network is."""

from __future__ import annotations

import pytest

from probe.measurements._dns.queries import Asker, replies
from probe.measurements._tcp.triggers import react
from probe.model.exchange import EchoStep, Exchange, PauseStep, Step, SynStep, TcpStep, UdpStep
from probe.model.packet import Icmp, Tcp
from probe.wire import http
from tests.measurements.simboxes import DnsForger, Dropper, Resetter
from tests.measurements.simhosts import Resolver, Web
from tests.measurements.simnet import Internet, Network
from tests.measurements.worlds import BANNED, RESOLVER, SERVER, net


def get(name: str = "good.example", **what: object) -> TcpStep:
    return TcpStep(address=SERVER, port=80, payload=http.request(name), **what)  # type: ignore[arg-type]


def one(network: Network, step: Step, seed: int = 1) -> Exchange:
    (exchange,) = Internet(network, seed).perform([step])
    return exchange


def test_the_same_seed_gives_the_same_packets() -> None:
    network = net(loss=0.2, jitter=0.01, duplicate=0.2, reorder=0.2)
    first, again, other = (one(network, get(), seed) for seed in (5, 5, 6))
    assert first == again != other


def test_a_request_is_answered_as_a_kernel_and_a_server_would() -> None:
    reaction = react(one(net(), get()))
    assert (reaction.worked, reaction.synack_ttl, len(reaction.fins)) == (True, 56, 1)
    assert reaction.round_trip == pytest.approx(0.0175, abs=0.001)
    assert reaction.stream().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("ttl", "hop"), [(1, "0.0.0.1"), (2, "198.51.0.2"), (8, "198.51.0.8"), (9, None)])
def test_a_packet_dies_where_its_ttl_ends(ttl: int, hop: str | None) -> None:
    reaction = react(one(net(), get(ttl=ttl)))
    assert reaction.expired_at == hop
    assert reaction.worked == (hop is None)


def test_over_ipv6_addresses_and_errors_are_those_of_ipv6() -> None:
    network = Network(version=6, hosts={"2001:db8:f::1": Web()})
    exchange = one(network, SynStep(address="2001:db8:f::1", port=80, ttl=4))
    (error,) = exchange.errors
    assert (error.packet.source, error.packet.protocol) == ("2001:db8:0::4", 58)
    assert isinstance(error.packet.header, Icmp)
    assert error.packet.header.type == 3


@pytest.mark.parametrize(
    ("port", "failure"), [("closed", "refused"), ("filtered", "timeout"), ("unreachable", "unreachable")]
)
def test_connections_fail_as_the_engine_says_it(port: str, failure: str) -> None:
    exchange = one(net(Web(port=port)), get())  # type: ignore[arg-type]
    assert exchange.failure == failure
    assert exchange.sent_at is None


def test_payloads_are_sent_again_until_they_are_acknowledged() -> None:
    exchange = one(net(boxes=(Dropper(at=4, names=BANNED),)), get("banned.example", wait=1.5))
    times = [round(heard.at, 1) for heard in exchange.heard if heard.outgoing and heard.packet.payload]
    assert times == [0.0, 0.2, 0.6, 1.4]
    answered = one(net(), get())
    assert sum(bool(heard.packet.payload) for heard in answered.heard if heard.outgoing) == 1


def test_a_lost_answer_is_sent_again() -> None:
    network = net(Web(farewell=""), loss=0.2)
    worked = sum(react(one(network, get(connect_wait=8.0), seed)).worked for seed in range(100))
    assert worked >= 95


def test_loss_is_as_much_as_was_asked_for() -> None:
    steps: list[Step] = [EchoStep(address=SERVER) for _ in range(2000)]
    heard = sum(bool(exchange.answers) for exchange in Internet(net(loss=0.1), 3).perform(steps))
    assert heard / 2000 == pytest.approx(0.81, abs=0.03)


@pytest.mark.parametrize(("nat", "cut"), [(True, False), (False, True)])
def test_a_home_router_hides_a_reset_that_lost_the_race(nat: bool, cut: bool) -> None:
    late = Resetter(at=4, names=BANNED, delay=0.05)
    assert react(one(net(nat=nat, boxes=(late,)), get("banned.example", linger=0.2))).cut == cut


@pytest.mark.parametrize("nat", [True, False])
def test_only_resets_in_window_pass_a_home_router(nat: bool) -> None:
    box = Resetter(at=4, names=BANNED, in_path=True, copies=3, step=50_000)
    resets = react(one(net(nat=nat, boxes=(box,)), get("banned.example"))).resets
    assert len(resets) == (2 if nat else 3)


@pytest.mark.parametrize(("ttl", "arrives"), [(64, 61), (255, 252), ("mirror", 58), ("like", 56)])
def test_a_boxs_ttl(ttl: int, arrives: int) -> None:
    network = net(boxes=(Resetter(at=4, names=BANNED, in_path=True, ttl=ttl),))
    (reset,) = react(one(network, get("banned.example"))).resets
    assert reset.ttl == arrives


def test_on_the_path_the_trigger_goes_on_and_in_it_it_does_not() -> None:
    for in_path in (True, False):
        box = Resetter(at=4, names=BANNED, in_path=in_path)
        reaction = react(one(net(boxes=(box,)), get("banned.example", ttl=6)))
        assert reaction.cut
        assert (reaction.expired_at is None) == in_path


def test_residual_blocking_ends() -> None:
    internet = Internet(net(boxes=(Dropper(at=4, names=BANNED, residual=3, size=3),)), 1)
    assert react(internet.perform([get("banned.example")])[0]).silent
    assert internet.perform([get()])[0].failure == "timeout"
    internet.perform([PauseStep(seconds=3)])
    assert react(internet.perform([get()])[0]).worked


def test_a_router_that_rations_icmp() -> None:
    internet = Internet(net(limited=frozenset({3}), burst=2, limit=1.0), 1)
    probes: list[Step] = [EchoStep(address=SERVER, ttl=3) for _ in range(5)]
    assert sum(bool(exchange.errors) for exchange in internet.perform(probes)) == 2
    internet.perform([PauseStep(seconds=1)])
    assert sum(bool(exchange.errors) for exchange in internet.perform(probes)) >= 1


def test_short_quotes_hold_no_window() -> None:
    (error,) = one(net(short_quotes=True), SynStep(address=SERVER, port=80, ttl=2)).errors
    assert isinstance(error.packet.header, Icmp)
    assert error.packet.header.quoted is not None
    quoted = error.packet.header.quoted.header
    assert isinstance(quoted, Tcp)
    assert (quoted.destination_port, quoted.window, quoted.flags) == (80, 0, 0)


def test_datagrams_of_one_flow_go_one_way() -> None:
    network = net(uneven=3)
    steps: list[Step] = [UdpStep(address=SERVER, port=9, payload=b"x", ttl=6, flow=str(i % 8)) for i in range(64)]
    sources = [exchange.errors[0].packet.source for exchange in Internet(network, 1).perform(steps)]
    assert len(set(sources)) == 2
    assert sources[:8] * 8 == sources


def ask(network: Network, name: str = "good.example", count: int = 1) -> list[int]:
    """How many answers each of ``count`` queries got."""
    asker = Asker(Internet(network, 1).random, 53)
    batch: list[Step] = [asker.ask(name, RESOLVER, flow=str(i), linger=0.5) for i in range(count)]
    return [len(replies(exchange)) for exchange in Internet(network, 1).perform(batch)]


def test_a_resolver_has_its_habits() -> None:
    assert ask(net()) == [1]
    assert ask(net(resolver=Resolver(ignores=("good.example",)))) == [0]
    assert sum(ask(net(resolver=Resolver(rate=4)), count=10)) == 4


def test_a_forger_answers_besides() -> None:
    assert ask(net(boxes=(DnsForger(at=4, names=BANNED, copies=2),)), "banned.example") == [3]
    assert ask(net(boxes=(DnsForger(at=4, names=BANNED, in_path=True),)), "banned.example") == [1]
    assert ask(net(boxes=(DnsForger(at=4, names=BANNED, copies=2),))) == [1]
