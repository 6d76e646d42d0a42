"""The client of the reflector over networks that lose, filter and rewrite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
import pytest

from probe.measurements import Context, _far
from probe.model.exchange import EchoStep, StreamStep, SynStep, UdpStep
from probe.model.finding import Interference, Judgement, Target
from probe.model.packet import Udp
from probe.model.reflector import Asked, Askers
from probe.wire import dns, passages, reflector, rtp
from tests.measurements.simfar import FAR, HOME, SETTINGS, Far
from tests.measurements.simnet import Internet, Network, Passing, drive

ADDRESS = FAR[4]


@dataclass(frozen=True)
class Drops:
    """A box on the way that drops what it is told to."""

    what: Callable[[Passing], bool]
    at: int = 4
    only: str = ""
    back: bool = False

    def act(self, passing: Passing) -> bool:
        return not self.back and self.what(passing)

    def holds_back(self, passing: Passing) -> bool:
        return self.back and self.what(passing)


def udp(passing: Passing) -> bool:
    return isinstance(passing.packet.header, Udp)


def internet(seed: int = 0, far: Far | None = None, version: int = 4, **more: Any) -> Internet:
    return Internet(Network(hosts={FAR[version]: far or Far()}, version=version, **more), seed)


def greet(net: Internet, address: str = ADDRESS) -> _far.Far:
    far = drive(_far.hello(address, Context(Random(1))), net)
    assert far is not None
    return far


class TestHello:
    @pytest.mark.parametrize("version", [4, 6])
    def test_gets_a_token_of_its_own_address(self, version: int) -> None:
        far = greet(internet(version=version), FAR[version])
        token = bytes.fromhex(far.grant.token)
        assert far.over_udp
        assert far.grant.zone == "r.example"
        assert reflector.valid(SETTINGS.secret, token, reflector.source_key(HOME[version]), 1_800_000_001.0)

    @pytest.mark.parametrize("version", [4, 6])
    def test_goes_over_http_where_udp_is_lost(self, version: int) -> None:
        far = greet(internet(version=version, boxes=(Drops(udp),)), FAR[version])
        assert not far.over_udp
        token = bytes.fromhex(far.grant.token)
        assert reflector.valid(SETTINGS.secret, token, reflector.source_key(HOME[version]), 1_800_000_009.0)

    def test_is_none_where_nothing_answers(self) -> None:
        assert drive(_far.hello(ADDRESS, Context(Random(1))), internet(far=Far(mute=True))) is None

    def test_survives_loss(self) -> None:
        assert all(greet(internet(seed, loss=0.05)) for seed in range(50))

    def test_tokens_have_fresh_nonces(self) -> None:
        far, context = greet(internet()), Context(Random(2))
        one, two = far.token(context), far.token(context)
        assert one != two
        assert one[4:] == two[4:]

    def test_a_stranger_s_answer_is_none(self) -> None:
        other = internet(far=Far())
        (exchange,) = other.perform([UdpStep(address=ADDRESS, port=47474, payload=reflector.MAGIC + b"x" * 12 + b"{}")])
        assert _far.read(exchange) is None


class TestSteady:
    @pytest.mark.parametrize(("pool", "told"), [(1, True), (4, False)])
    def test_a_pool_of_public_addresses_is_noticed(self, pool: int, told: bool) -> None:
        for seed in range(20):
            net = internet(seed, Far(pool=pool), loss=0.02)
            far = greet(net)
            assert drive(_far.steady(far, Context(Random(seed))), net) in (told, None if seed else told)

    def test_where_nothing_answers_any_more_nothing_is_told(self) -> None:
        far = greet(internet())
        assert drive(_far.steady(far, Context(Random(1))), internet(far=Far(mute=True))) is None


class TestUnlessSpread:
    ACCUSED = Judgement(
        verdict="interfered", rule="voip/x", target=Target("a"), interference=Interference("udp_block"), confidence=0.9,
        reasons=["Calls fail."],
    )  # fmt: skip

    @pytest.mark.parametrize(("pool", "verdict"), [(1, "interfered"), (4, "inconclusive")])
    def test_a_pool_of_public_addresses_accuses_nobody(self, pool: int, verdict: str) -> None:
        net = internet(2, Far(pool=pool))
        judged = drive(_far.unless_spread(self.ACCUSED, greet(net), Context(Random(2))), net)
        assert judged.verdict == verdict
        assert judged.reasons[-1] == "Calls fail."
        assert (judged.interference is None) == (judged.rule == "voip/several-public-addresses") == (pool > 1)

    def test_what_accuses_nobody_asks_nothing(self) -> None:
        clean = Judgement(verdict="clean", rule="voip/x", target=Target("a"))
        net = internet()
        for judgement, far in ((clean, greet(net)), (self.ACCUSED, None)):
            with pytest.raises(StopIteration) as ended:
                next(_far.unless_spread(judgement, far, Context(Random(2))))
            assert ended.value.value is judgement


class TestEcho:
    def test_says_how_it_arrived(self) -> None:
        net = internet()
        far = greet(net)
        one, two = drive(_far.echo(far, [443, 20_001], Context(Random(3)), tos=0xB8, pad=100), net)
        assert one is not None
        assert two is not None
        assert (one.port, two.port) == (443, 20_001)
        assert one.tos == 0xB8
        assert one.ttl == 64 - net.network.hops + 1
        assert one.data.startswith(reflector.MAGIC + bytes.fromhex(far.grant.token)[:2])
        assert one.data.endswith(b" " * 100)

    def test_is_none_where_it_did_not_come(self) -> None:
        net = internet()
        far = greet(net)
        blocked = Drops(lambda p: isinstance(p.packet.header, Udp) and p.packet.header.destination_port == 443)
        other = internet(boxes=(blocked,))
        answers = drive(_far.echo(far, [443, 20_001], Context(Random(3))), other)
        assert answers[0] is None
        assert answers[1] is not None


def stream(far: _far.Far, ssrc: int, *, inverted: bool = False) -> StreamStep:
    packet = rtp.encode(rtp.Packet(0, 65530, 0, ssrc, bytes.fromhex(far.grant.token) + rtp.silence(148)))
    return StreamStep(address=ADDRESS, port=20_001, payload=packet, count=50, counters=((2, 2, 1), (4, 4, 160)),
                      inverted=inverted)  # fmt: skip


class TestReport:
    def test_tells_what_arrived(self) -> None:
        net = internet()
        far = greet(net)
        (exchange,) = net.perform([stream(far, 7)])
        assert len(passages.of(exchange).back) == 50
        reports = drive(_far.report(far, [7, 8], Context(Random(4))), net)
        assert reports is not None
        (found,) = reports[7]
        assert reports[8] == ()
        assert (found.packets, found.lost, found.first, found.last) == (50, 0, 65530, 65579)
        assert found.ttls == (56,)
        assert found.echoed == 50
        assert found.jitter < 0.001

    def test_tells_of_several_in_one_datagram_however_long_they_were(self) -> None:
        net = internet()
        far = greet(net)
        net.perform([msgspec.structs.replace(stream(far, 1 << 31 | n), count=500) for n in range(6)])
        net.perform([stream(far, 9)])
        streams = [*(1 << 31 | n for n in range(6)), 9]
        assert len(next(_far.report(far, streams, Context(Random(4))))) == 2
        reports = drive(_far.report(far, streams, Context(Random(4))), net)
        assert reports is not None
        assert [[one.packets for one in reports[ssrc]] for ssrc in streams] == [[500]] * 6 + [[50]]

    def test_tells_a_twin_apart(self) -> None:
        net = internet()
        far = greet(net)
        net.perform([stream(far, 7, inverted=True)])
        reports = drive(_far.report(far, [7], Context(Random(4))), net)
        assert reports is not None
        assert [(one.inverted, one.packets) for one in reports[7]] == [(True, 50)]

    def test_tells_the_way_there_from_the_way_back(self) -> None:
        for back in (False, True):
            box = Drops(lambda p: udp(p) and len(p.packet.payload) == 172 and p.packet.payload[3] % 2 == 0, back=back)
            net = internet(boxes=(box,))
            far = greet(net)
            (exchange,) = net.perform([stream(far, 7)])
            reports = drive(_far.report(far, [7], Context(Random(4))), net)
            assert reports is not None
            assert len(passages.of(exchange).back) == 25
            assert reports[7][0].packets == (50 if back else 25)

    def test_is_asked_over_http_where_udp_died_since(self) -> None:
        net = internet()
        far = greet(net)
        net.perform([stream(far, 7)])
        core = net.memory_of(ADDRESS)["core"]
        other = internet(boxes=(Drops(udp),))
        other.memory_of(ADDRESS)["core"] = core
        reports = drive(_far.report(far, [7], Context(Random(4))), other)
        assert reports is not None
        assert reports[7][0].packets == 50


class TestArrivals:
    def test_names_what_came_and_what_did_not(self) -> None:
        net = internet()
        far = greet(net)
        exchanges = net.perform([
            SynStep(address=ADDRESS, port=80), SynStep(address=ADDRESS, port=80, ttl=3), EchoStep(address=ADDRESS),
            UdpStep(address=ADDRESS, port=9999, payload=b"hello there"),
            UdpStep(address=ADDRESS, port=9, payload=b"x", ttl=2),
        ])  # fmt: skip
        sent = [next(h.packet for h in exchange.heard if h.outgoing) for exchange in exchanges]
        arrived = drive(_far.arrivals(far, sent, Context(Random(5)), within=60), net)
        assert arrived is not None
        assert arrived.counts == (1, 0, 1, 1, 0)
        assert arrived.yours == (1, 0, 1, 1, 0)
        assert arrived.why == ""

    def test_never_says_no_where_it_can_t_tell(self) -> None:
        net = internet(far=Far(raw=False))
        far = greet(net)
        (exchange,) = net.perform([SynStep(address=ADDRESS, port=80)])
        arrived = drive(_far.arrivals(far, [exchange.heard[0].packet], Context(Random(5)), within=60), net)
        assert arrived is not None
        assert arrived.counts == (-1,)
        assert "CAP_NET_RAW" in arrived.why

    def test_many_are_asked_in_several_datagrams(self) -> None:
        net = internet()
        far = greet(net)
        exchanges = net.perform([UdpStep(address=ADDRESS, port=9, payload=b"%d" % i, wait=0.1) for i in range(250)])
        sent = [exchange.heard[0].packet for exchange in exchanges]
        arrived = drive(_far.arrivals(far, sent, Context(Random(5)), within=60), net)
        assert arrived is not None
        assert arrived.counts == (1,) * 250

    def test_a_peer_that_is_not_known_can_t_tell(self) -> None:
        net = internet()
        far = greet(net)
        (exchange,) = net.perform([SynStep(address=ADDRESS, port=80)])
        sent = [exchange.heard[0].packet]
        arrived = drive(_far.arrivals(far, sent, Context(Random(5)), within=60, peer="nobody"), net)
        assert arrived is not None
        assert arrived.counts == (-1,)
        assert "nobody" in arrived.why

    def test_what_has_no_name_is_not_told_of(self) -> None:
        net = internet()
        far = greet(net)
        (exchange,) = net.perform([EchoStep(address=ADDRESS)])
        arrived = drive(_far.arrivals(far, [h.packet for h in exchange.heard], Context(Random(5)), within=60), net)
        assert arrived is not None
        assert arrived.counts == (1, -1)


class TestAsked:
    def test_names_who_resolved(self) -> None:
        net = internet()
        far = greet(net)
        token = far.token(Context(Random(6)))
        name = f"{reflector.label(token)}.whoami.r.example"
        (exchange,) = net.perform([UdpStep(address=ADDRESS, port=53, payload=dns.query(name, 7, dns.TXT))])
        message = dns.decode(exchange.answers[0].packet.payload)
        assert reflector.read_whoami(message.answers[0].text).network == "self"
        (askers,) = drive(_far.ask(far, [Asked((reflector.label(token),))], Context(Random(7))), net)
        assert isinstance(askers, Askers)
        assert [(one.network, one.qtype, one.count) for one in askers.resolvers] == [("self", dns.TXT, 1)]


def test_the_same_chance_asks_the_same() -> None:
    def steps(seed: int) -> list[Any]:
        part = _far.hello(ADDRESS, Context(Random(seed)))
        return list(next(part))

    assert steps(1) == steps(1) != steps(2)
