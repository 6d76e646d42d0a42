"""`dns_injection` on simulated networks: what must be found, and whom it must never accuse."""

from __future__ import annotations

from random import Random

import pytest

from probe.measurements import Context, load, parse_options
from probe.model.errors import UsageError
from probe.model.exchange import ListenStep, Step
from tests.measurements.simboxes import DnsForger
from tests.measurements.simhosts import Resolver
from tests.measurements.simnet import Internet, Network, drive
from tests.measurements.worlds import BANNED, RESOLVER, SILENT, ask_dns, claimed, link, net

ALL = frozenset(range(2, 9))


def forger(at: int, **what: object) -> Network:
    return net(boxes=(DnsForger(at=at, names=BANNED, **what),))  # type: ignore[arg-type]


# What the network does → rule with a silent address, rule without one, link.
FOUND: dict[str, tuple[Network, str, str, tuple[int, int]]] = {
    "on the path": (forger(4), "answer-from-silent-address", "answer-below-resolver", (3, 4)),
    "in the path": (forger(5, in_path=True, ttl=255), "answer-from-silent-address", "answer-below-resolver", (4, 5)),
    "right behind the home": (forger(2, ttl=128), "answer-from-silent-address", "answer-below-resolver", (1, 2)),
    "its TTL arrives like the resolver's": (
        forger(4, ttl="like"), "answer-from-silent-address", "answer-below-resolver", (3, 4),
    ),
    "its TTL is random": (forger(6, ttl="random"), "answer-from-silent-address", "answer-below-resolver", (5, 6)),
    "it copies TTLs, near": (forger(4, ttl="mirror"), "answer-from-silent-address", "answer-below-resolver", (3, 4)),
    "it copies TTLs, far": (forger(7, ttl="mirror"), "answer-from-silent-address", "two-answers-on-one-flow", (6, 7)),
    "it says that there is no such name": (
        forger(4, nxdomain=True, in_path=True), "answer-from-silent-address", "answer-below-resolver", (3, 4),
    ),
    "five copies, later than the real answer": (
        forger(4, copies=5, delay=0.06), "answer-from-silent-address", "answer-below-resolver", (3, 4),
    ),
    "no router answers": (
        net(silent=ALL, boxes=(DnsForger(at=4, names=BANNED),)),
        "answer-from-silent-address", "answer-below-resolver", (3, 4),
    ),
    "routers quote 8 bytes": (
        net(short_quotes=True, boxes=(DnsForger(at=4, names=BANNED),)),
        "answer-from-silent-address", "answer-below-resolver", (3, 4),
    ),
    "the way back is shorter, the way there divides": (
        net(back=-3, uneven=2, boxes=(DnsForger(at=3, names=BANNED),)),
        "answer-from-silent-address", "answer-below-resolver", (2, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("network", "rule", "_without", "where"), FOUND.values(), ids=FOUND.keys())
def test_forgery_is_found_and_located(network: Network, rule: str, _without: str, where: tuple[int, int]) -> None:
    for seed in range(3):
        judgement = ask_dns(network, seed)
        assert (claimed(judgement), link(judgement)) == (("interfered", rule), where)
        assert judgement.interference is not None
        assert judgement.interference.technique == "dns_injection"
        assert judgement.trials.agreed >= 3
        assert 0.5 < judgement.confidence < 1


@pytest.mark.parametrize(("network", "_with", "rule", "where"), FOUND.values(), ids=FOUND.keys())
def test_forgery_is_found_without_a_silent_address(
    network: Network, _with: str, rule: str, where: tuple[int, int]
) -> None:
    for seed in range(3):
        judgement = ask_dns(network, seed, silent="")
        assert (claimed(judgement), link(judgement)) == (("interfered", rule), where)


@pytest.mark.parametrize(("in_path", "placement"), [(True, "in_path"), (False, "on_path")])
def test_it_tells_a_box_in_the_path_from_one_beside_it(in_path: bool, placement: str) -> None:
    judgement = ask_dns(forger(4, in_path=in_path))
    assert judgement.interference is not None
    assert judgement.interference.placement == placement


def test_a_forger_in_the_silent_addresses_own_network_accuses_nobody() -> None:
    box = DnsForger(at=8, names=BANNED, only=SILENT, in_path=True)
    judgement = ask_dns(net(boxes=(box,)), locate=True)
    assert claimed(judgement) == ("inconclusive", "answer-near-silent-address")


@pytest.mark.parametrize("delay", [0.3, 1.0])
def test_forged_answers_that_take_their_time_are_placed_too(delay: float) -> None:
    judgement = ask_dns(forger(4, in_path=True, delay=delay))
    assert (claimed(judgement), link(judgement)) == (("interfered", "answer-from-silent-address"), (3, 4))


@pytest.mark.parametrize(
    ("network", "last", "least", "most"),
    [
        (forger(4), True, 2.0, 2.6),  # struck at once: placed meanwhile
        (forger(4, delay=1.0), False, 4.0, 9.0),
        (net(), False, 2.0, 2.9),
    ],
    ids=["a forger", "a late one", "nobody"],
)
def test_who_is_sure_does_not_stand_still_while_a_late_answer_may_come(
    network: Network, last: bool, least: float, most: float
) -> None:
    measurement, internet, batches = load("dns_injection"), Internet(network, 1), list[list[Step]]()
    options = parse_options(measurement, {
        "target": "banned.example", "resolver": RESOLVER, "silent": SILENT, "control_name": "good.example",
    })  # fmt: skip
    drive(measurement.measure(options, Context(Random(1))), internet, batches)
    listening = [i for i, batch in enumerate(batches) if any(isinstance(step, ListenStep) for step in batch)]
    assert listening == [len(batches) - 1 if last else 2]
    assert sum(isinstance(step, ListenStep) for step in batches[listening[0]]) == 9  # every trial is heard out
    assert least <= internet.now <= most


def test_the_silent_address_alone_suffices() -> None:
    judgement = ask_dns(forger(4), resolver="")
    assert (claimed(judgement), link(judgement)) == (("interfered", "answer-from-silent-address"), (3, 4))


def test_somebody_who_answers_every_name_may_be_asked_by_the_home_router() -> None:
    judgement = ask_dns(net(boxes=(DnsForger(at=3, names=("",), in_path=True),)))
    assert claimed(judgement) == ("inconclusive", "silent-address-answers-everything")
    assert "home router" in judgement.reasons[0]


SLOW_CONTROL = Resolver(rotate=True, slow={"good.example": 0.15})
# Nobody on the way does anything to the name; nobody may be accused.
INNOCENT: dict[str, tuple[Network, str]] = {
    "an honest line": (net(), "clean"),
    "answers rotate": (net(resolver=Resolver(rotate=True)), "clean"),
    "answers rotate and queries are doubled": (
        net(resolver=Resolver(rotate=True), duplicate=0.3), "too-little-evidence",
    ),
    "… and the name alone is in the resolver's cache": (
        net(resolver=SLOW_CONTROL, duplicate=0.3), "too-little-evidence",
    ),
    "… on ways that differ by three hops": (
        net(resolver=Resolver(rotate=True), duplicate=0.3, uneven=3), "too-little-evidence",
    ),
    "answers are cut short": (net(resolver=Resolver(truncate=True)), "clean"),
    "the name does not exist": (net(resolver=Resolver(missing=BANNED)), "clean"),
    "the resolver is slow": (net(resolver=Resolver(slow={"banned.example": 1.5, "good.example": 1.5})), "clean"),
    "the resolver ignores the name": (net(resolver=Resolver(ignores=BANNED)), "no-answer"),
    "the resolver ignores the harmless name": (net(resolver=Resolver(ignores=("good.example",))), "control-failed"),
    "several machines behind one address": (net(resolver=Resolver(ttls=(64, 128, 255), rotate=True)), "clean"),
    "the resolver limits its rate": (net(resolver=Resolver(rate=4)), "clean"),
    "a filter before the resolver": (
        net(boxes=(DnsForger(at=9, names=BANNED, only=RESOLVER, nxdomain=True, in_path=True, ttl=255),)),
        "too-little-evidence",
    ),
    "… on the link before": (
        net(boxes=(DnsForger(at=8, names=BANNED, only=RESOLVER, ttl=255),)), "too-little-evidence",
    ),
    "… that copies TTLs, the way back being shorter": (
        net(back=-4, boxes=(DnsForger(at=9, names=BANNED, only=RESOLVER, ttl="mirror"),)), "too-little-evidence",
    ),
    "the home router answers everything": (
        net(boxes=(DnsForger(at=1, names=("",), in_path=True),)), "home-router-answers",
    ),
    "the home router answers the name": (net(boxes=(DnsForger(at=1, names=BANNED),)), "home-router-answers"),
    "… and shows no address": (
        net(silent=frozenset({1}), boxes=(DnsForger(at=1, names=BANNED),)), "home-router-answers",
    ),
    "the second of two home routers answers the name": (
        net(home=2, boxes=(DnsForger(at=2, names=BANNED, in_path=True),)), "home-router-answers",
    ),
    "the home router answers the name, with a TTL that hides how near it is": (
        net(boxes=(DnsForger(at=2, names=BANNED, in_path=True, ttl=201),)), "home-router-answers",
    ),
    "everything is lost": (net(loss=1.0), "control-failed"),
}  # fmt: skip


@pytest.mark.parametrize("silent", ["203.0.113.200", ""], ids=["", "no silent address"])
@pytest.mark.parametrize(("network", "rule"), INNOCENT.values(), ids=INNOCENT.keys())
def test_nobody_is_accused_of_what_the_resolver_or_the_home_does(network: Network, rule: str, silent: str) -> None:
    rules = set()
    for seed in range(6):
        judgement = ask_dns(network, seed, silent=silent, locate=bool(seed % 2))
        assert judgement.verdict in ("clean", "inconclusive")
        assert judgement.interference is None
        rules.add(claimed(judgement)[1])
    assert rule in rules


def test_the_second_of_two_home_routers_answers_everything() -> None:
    network = net(home=2, boxes=(DnsForger(at=2, names=("",), in_path=True),))
    assert claimed(ask_dns(network)) == ("inconclusive", "home-router-answers")
    assert claimed(ask_dns(network, silent=""))[0] == "clean"  # from afar it is a resolver like any other


def test_a_silent_address_that_does_run_a_resolver_accuses_nobody() -> None:
    network = Network(hosts={**net().hosts, SILENT: Resolver()})
    assert claimed(ask_dns(network)) == ("inconclusive", "silent-address-answers")


@pytest.mark.parametrize("options", [{"control_name": ""}, {"resolver": "", "silent": ""}])
def test_what_is_missing_is_said(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="dns-injection needs"):
        ask_dns(net(), 1, **options)
