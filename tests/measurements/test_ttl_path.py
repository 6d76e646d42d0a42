"""`ttl_path` on simulated networks: with the trigger's own measurement, or the plain path."""

from __future__ import annotations

from typing import Any

import pytest

from probe.model.errors import UsageError
from probe.model.finding import Judgement
from tests.measurements.simboxes import DnsForger, Resetter
from tests.measurements.simfar import FAR, Far
from tests.measurements.simhosts import Web
from tests.measurements.simnet import Network, measure
from tests.measurements.simudp import UdpFilter
from tests.measurements.worlds import BANNED, CONTROL, RESOLVER, SERVER, SILENT, claimed, link, net

COMMON: dict[str, Any] = {
    "resolver": RESOLVER, "silent": SILENT, "control_name": "good.example", "control_address": CONTROL,
}  # fmt: skip


def trace(network: Network, target: str, seed: int = 1, **options: object) -> Judgement:
    return measure("ttl_path", network, seed, target=target, **(COMMON | options))


@pytest.mark.parametrize("target", ["banned.example", "http://banned.example/x"])
def test_dns_is_swept_by_its_own_rules(target: str) -> None:
    judgement = trace(net(boxes=(DnsForger(at=4, names=BANNED),)), target, trigger="dns")
    assert (judgement.verdict, link(judgement)) == ("interfered", (3, 4))
    assert judgement.rule.startswith("dns_injection/")


@pytest.mark.parametrize(
    ("target", "trigger", "port"),
    [
        ("http://banned.example/", "", 80), ("https://banned.example/", "", 443), ("banned.example", "tls", 443),
        ("banned.example", "http", 80), ("http://banned.example/a?b=c", "tls", 443),
        ("https://banned.example:8443/", "", 8443),
    ],
)  # fmt: skip
def test_names_over_tcp_are_swept_by_their_own_rules(target: str, trigger: str, port: int) -> None:
    judgement = trace(net(boxes=(Resetter(at=5, names=BANNED),)), target, trigger=trigger, address=SERVER)
    assert (judgement.verdict, link(judgement), judgement.target.port) == ("interfered", (4, 5), port)
    assert judgement.rule.startswith("tcp_reset/")


@pytest.mark.parametrize(("trigger", "content"), [("quic", "banned.example"), ("sip", "sip"), ("stun", "stun")])
def test_datagrams_are_swept_by_their_own_rules(trigger: str, content: str) -> None:
    network = Network(hosts={FAR[4]: Far()}, boxes=(UdpFilter(at=5, contents=(content,)),))
    judgement = trace(network, "https://banned.example/", trigger=trigger, reflector=FAR[4])
    assert (judgement.verdict, link(judgement)) == ("interfered", (4, 5))
    assert judgement.rule.startswith("udp_trigger/")
    honest = trace(Network(hosts={FAR[4]: Far()}), "banned.example", trigger=trigger, reflector=FAR[4])
    assert claimed(honest) == ("clean", "clean")
    assert {row["ttl"] for row in honest.details["sweep"]} >= set(range(1, 9))


def test_an_honest_path_is_swept_and_clean() -> None:
    judgement = trace(net(), "http://banned.example/", address=SERVER)
    assert claimed(judgement) == ("clean", "clean")
    assert {row["ttl"] for row in judgement.details["sweep"]} >= set(range(1, 9))
    assert [row["address"] for row in judgement.details["path"]][:3] == ["", "198.51.0.2", "198.51.0.3"]


@pytest.mark.parametrize("protocol", ["tcp", "icmp"])
def test_the_plain_path(protocol: str) -> None:
    judgement = trace(net(silent=frozenset({4})), SERVER, protocol=protocol)
    assert judgement.rule == "ttl_path/arrives"
    path = judgement.details["path"]
    assert [len(row["routers"]) for row in path] == [0, 1, 1, 0, 1, 1, 1, 1, 1]
    assert path[0]["home"]
    assert path[8]["arrived"]


def test_udp_and_a_dead_server_do_not_arrive() -> None:
    for network, protocol in ((net(), "udp"), (net(Web(port="filtered")), "tcp")):
        judgement = trace(network, SERVER, protocol=protocol)
        assert claimed(judgement) == ("inconclusive", "does-not-arrive")
        assert "hop 8" in judgement.reasons[0]


def test_a_path_that_divides_is_said_to() -> None:
    judgement = trace(net(uneven=1), SERVER, seed=2, trials=8)
    assert any("divides" in reason for reason in judgement.reasons)


def test_a_name_needs_a_trigger() -> None:
    with pytest.raises(UsageError, match="is not an address"):
        trace(net(), "banned.example")
