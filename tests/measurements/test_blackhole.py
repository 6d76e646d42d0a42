"""`blackhole` on simulated networks: who is accused, who never is, and where."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from probe.measurements import Context, load, parse_options
from probe.model.baseline import Baseline, Usual
from probe.model.errors import UsageError
from probe.model.finding import Judgement
from tests.measurements.simclients import Client
from tests.measurements.simholes import Hole, Machine
from tests.measurements.simhosts import Resolver
from tests.measurements.simnet import Box, Host, Internet, Network, drive
from tests.measurements.test_sweeps import path
from tests.measurements.worlds import claimed, link

TARGET, SIBLING, CONTROL, NEIGHBOUR = "198.51.100.10", "203.0.113.10", "203.0.113.180", "198.51.100.11"
TARGET6, SIBLING6, CONTROL6 = "2001:db8:b0::10", "2001:db8:a0::10", "2001:db8:c0::80"
HOME = "198.51.100.0/24"
COMPANY = (HOME, "192.0.2.0/24", "2001:db8:b0::/47")


class Forked(Internet):
    """Ways that part behind hop ``trunk``: from there on each address has routers of its own."""

    def __init__(self, network: Network, seed: int, trunk: int) -> None:
        super().__init__(network, seed)
        self.trunk = trunk

    def router(self, flow: Client, hop: int) -> str:
        usual = super().router(flow, hop)
        if hop <= self.trunk:
            return usual
        own = sum(flow.address.encode()) % 200
        return f"2001:db8:f{own:x}::{hop:x}" if ":" in usual else f"198.19.{own}.{hop}"


def net(*boxes: Box, hosts: dict[str, Host] | None = None, **what: Any) -> Network:
    far: dict[str, Host] = {a: Machine() for a in (TARGET, SIBLING, CONTROL, NEIGHBOUR, TARGET6, SIBLING6, CONTROL6)}
    return Network(hosts=far | (hosts or {}), boxes=boxes, **what)


def ask(network: Network, seed: int = 1, trunk: int = 7, **options: object) -> Judgement:
    given: dict[str, object] = {"target": TARGET, "siblings": [SIBLING], "control_address": CONTROL, **options}
    kind = load("blackhole")
    return drive(kind.measure(parse_options(kind, given), Context(Random(seed))), Forked(network, seed, trunk))


def recalled(network: Network, ttl: int) -> Judgement:
    """A line that remembers answers of the target with this TTL."""
    usual = Usual(asked=20, answered=19, ttls={ttl: 19}, least=0.01, typical=0.02, deviation=0.01)
    kind = load("blackhole")
    given = {"target": TARGET, "siblings": [SIBLING], "control_address": CONTROL}
    context = Context(Random(1), baseline=Baseline({TARGET: usual}))
    return drive(kind.measure(parse_options(kind, given), context), Forked(network, 1, 7))


def test_what_the_line_remembers_is_told() -> None:
    judgement = recalled(net(Hole(at=4, networks=(HOME,))), 56)
    assert judgement.verdict == "interfered"
    assert judgement.reasons[-1] == "Before, it answered 19 of 20 packets on this line, from 8 routers away."
    assert not any("Before" in reason for reason in recalled(net(), 56).reasons)


def test_an_address_that_was_near_is_not_beyond_the_common_way() -> None:
    """It is attached to a router of the operator's own: what looks like a hole may be its own switch."""
    hole = Hole(at=4, networks=(HOME,))
    assert recalled(net(hole), 60).rule == "blackhole/silent-near-target"
    assert recalled(net(Hole(at=4, networks=(HOME,), does="refuse")), 60).rule == "blackhole/refused-near-target"


@pytest.mark.parametrize("does", ["drop", "refuse"])
@pytest.mark.parametrize(
    ("networks", "rule"),
    [
        ("198.51.0.0/28", ""),
        ("198.51.0.0/30", "not-the-operator-s"),  # hop 4 is another's
        ("198.51.0.0/16", "not-the-operator-s"),  # the target is its own
        ("2001:db8::/32", "not-the-operator-s"),
    ],
)
def test_others_are_not_taken_for_the_operator(does: Any, networks: str, rule: str) -> None:
    judgement = ask(net(Hole(at=4, networks=(HOME,), does=does)), operator_networks=networks)
    found = {"drop": "dies-where-others-pass", "refuse": "router-refuses"}[does]
    assert claimed(judgement) == (("inconclusive", rule) if rule else ("interfered", found))


def test_networks_must_be_networks() -> None:
    with pytest.raises(UsageError, match="'nonsense' is no network"):
        ask(net(), operator_networks="nonsense")


def technique(judgement: Judgement) -> str:
    return judgement.interference.technique if judgement.interference else ""


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("at", [3, 4])
def test_a_hole_in_the_common_way_is_found_and_placed(at: int, late: bool) -> None:
    judgement = ask(net(Hole(at=at, networks=(HOME,), late=late)))
    assert claimed(judgement) == ("interfered", "dies-where-others-pass")
    assert (technique(judgement), link(judgement)) == ("ip_blackhole", (at, at + 1) if late else (at - 1, at))
    assert judgement.confidence > 0.9
    assert "203.0.113.10" in judgement.reasons[0]


@pytest.mark.parametrize("code", [0, 1, 9, 10, 13])
def test_a_router_that_refuses_is_named(code: int) -> None:
    judgement = ask(net(Hole(at=4, networks=(HOME,), does="refuse", code=code)))
    assert claimed(judgement) == ("interfered", "router-refuses")
    assert (technique(judgement), link(judgement)) == ("icmp_reject", (3, 4))
    assert judgement.interference is not None
    assert judgement.interference.location is not None
    assert judgement.interference.location.first_hop is not None
    assert judgement.interference.location.first_hop.address == "198.51.0.4"


@pytest.mark.parametrize(
    ("does", "rule"),
    [("drop", "dies-where-others-pass"), ("refuse", "router-refuses"), ("reset", "reset-before-target")],
)
def test_a_port_that_somebody_on_the_way_minds(does: Any, rule: str) -> None:
    judgement = ask(net(Hole(at=4, networks=(HOME,), ports=(443,), does=does, ttl=128)))
    assert claimed(judgement) == ("interfered", rule)
    assert (technique(judgement), link(judgement), judgement.target.port) == ("port_block", (3, 4), 443)


def test_lost_echoes_do_not_hide_that_only_pings_pass() -> None:
    ports = Hole(at=4, networks=(HOME,), ports=(80, 443))
    said = [claimed(ask(net(ports, loss=0.08), seed, ports="80,443")) for seed in range(40)]
    assert said.count(("interfered", "dies-where-others-pass")) >= 36
    assert "clean" not in dict(said)


def test_over_ipv6_too() -> None:
    hole = Hole(at=4, networks=COMPANY)
    judgement = ask(
        net(hole, version=6), target=TARGET6, siblings=[SIBLING6], control_address=CONTROL6
    )
    assert (technique(judgement), link(judgement)) == ("ip_blackhole", (3, 4))


INNOCENT: list[tuple[str, Network, set[str]]] = [
    ("all is well", net(), {"answers"}),
    ("the server is down", net(hosts={TARGET: Machine(dead=True)}), {"silent-near-target"}),
    ("the server's firewall drops a port", net(hosts={TARGET: Machine(drops=(443,))}), {"answers"}),
    ("it drops all ports, and ICMP", net(hosts={TARGET: Machine(drops=(80, 443), mute=True)}), {"silent-near-target"}),
    ("it answers echoes only", net(hosts={TARGET: Machine(drops=(80, 443))}), {"answers"}),
    ("its ports are closed", net(hosts={TARGET: Machine(open=())}), {"answers"}),
    ("its network's edge drops", net(Hole(at=8, networks=(HOME,))), {"silent-near-target"}),
    ("its network's edge refuses", net(Hole(at=8, networks=(HOME,), does="refuse", code=1)), {"refused-near-target"}),
    ("its upstream drops what is attacked", net(Hole(at=7, networks=(HOME,))), {"silent-near-target"}),
    ("its upstream refuses", net(Hole(at=6, networks=(HOME,), does="refuse", code=0)), {"refused-near-target"}),
    ("the edge drops one port", net(Hole(at=8, networks=(HOME,), ports=(443,))), {"answers"}),
    ("the home drops", net(Hole(at=1, networks=(HOME,))), {"silent-at-home"}),
    ("the home drops, seen behind it", net(Hole(at=2, networks=(HOME,))), {"silent-at-home"}),
    ("the home refuses", net(Hole(at=1, networks=(HOME,), does="refuse")), {"refused-at-home"}),
    ("the second home router refuses", net(Hole(at=2, networks=(HOME,), does="refuse"), home=2), {"refused-at-home"}),
    ("everything dies", net(Hole(at=4, networks=("0.0.0.0/0",))), {"control-failed"}),
    ("nothing arrives", net(loss=1.0, lossy_link=1), {"control-failed"}),
    ("the control alone answers", net(hosts={SIBLING: Machine(dead=True), TARGET: Machine(dead=True)}),
     {"silent-near-target"}),
    ("half of the ways are broken", net(Hole(at=4, networks=(HOME,), share=0.5)), {"answers", "some-flows-pass"}),
]  # fmt: skip


@pytest.mark.parametrize(("network", "rules"), [case[1:] for case in INNOCENT], ids=[case[0] for case in INNOCENT])
def test_the_innocent_are_not_accused(network: Network, rules: set[str]) -> None:
    for seed in range(5):
        verdict, rule = claimed(ask(network, seed))
        assert verdict != "interfered"
        assert rule in rules


def test_one_reference_accuses_nobody() -> None:
    hole = Hole(at=4, networks=(HOME,))
    assert ask(net(hole), siblings=[]).verdict == "inconclusive"
    assert ask(net(hole, hosts={SIBLING: Machine(dead=True)})).verdict == "inconclusive"


def test_a_broken_ipv6_line_is_inconclusive() -> None:
    judgement = ask(
        net(Hole(at=3, networks=("::/0",)), version=6), target=TARGET6, siblings=[SIBLING6], control_address=CONTROL6
    )
    assert claimed(judgement) == ("inconclusive", "control-failed")


def test_the_target_s_own_way_accuses_nobody() -> None:
    """Its packets leave the common way early: what happens there is not the common way's doing."""

    class Aside(Forked):
        def router(self, flow: Client, hop: int) -> str:
            return f"198.19.0.{hop}" if flow.address == TARGET and hop > 3 else super().router(flow, hop)

    kind = load("blackhole")
    options = parse_options(kind, {"target": TARGET, "siblings": [SIBLING], "control_address": CONTROL})
    net_ = net(Hole(at=5, networks=(HOME,)))
    judgement = drive(kind.measure(options, Context(Random(1))), Aside(net_, 1, 7))
    assert claimed(judgement) == ("inconclusive", "another-way")


def test_a_company_is_measured_whole() -> None:
    servers: dict[str, Host] = {f"192.0.2.{n}": Machine() for n in range(10, 20)}
    judgement = ask(
        net(Hole(at=4, networks=(HOME,)), hosts=servers), targets=[NEIGHBOUR, "192.0.2.0/27"], ports="80,443"
    )
    assert claimed(judgement) == ("interfered", "dies-where-others-pass")
    table = {row["address"]: row for row in judgement.details["addresses"]}
    assert len(table) == 34
    assert [table[a]["verdict"] for a in (TARGET, NEIGHBOUR, "192.0.2.10", "192.0.2.5")] == [
        "interfered", "interfered", "clean", "inconclusive",
    ]  # fmt: skip
    assert table[TARGET]["link"] == [3, 4]


def test_unused_addresses_of_a_network_worsen_nothing() -> None:
    servers: dict[str, Host] = {f"192.0.2.{n}": Machine() for n in range(4)}
    assert claimed(ask(net(hosts=servers), target="192.0.2.0/28")) == ("clean", "answers")
    assert ask(net(), target="192.0.2.0/28").verdict == "inconclusive"


def test_names_lead_to_addresses() -> None:
    hosts: dict[str, Host] = {"203.0.113.53": Resolver(missing=("gone.example",)), "203.0.113.7": Machine()}
    judgement = ask(net(hosts=hosts), target="a.example", resolver="203.0.113.53")
    assert claimed(judgement) == ("clean", "answers")
    assert (judgement.target.name, judgement.target.address) == ("a.example", "203.0.113.7")
    judgement = ask(net(hosts=hosts), names="gone.example", resolver="203.0.113.53")
    assert claimed(judgement) == ("inconclusive", "name-unknown")
    judgement = ask(net(hosts=hosts), target="gone.example", resolver="203.0.113.53")
    assert claimed(judgement) == ("inconclusive", "name-unknown")


@pytest.mark.parametrize(
    "options",
    [{"control_address": ""}, {"control_address": "a.example"}, {"siblings": ["x y"]}, {"target": "a.example"}],
)
def test_what_it_needs_to_be_told(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="blackhole"):
        ask(net(), **options)


def confounder(seed: int) -> tuple[Network, int]:
    """A network in which nobody on the common way minds the target, and what looks like it; how long that way is."""
    random = Random(seed)
    line = path(random, (0.0, 0.0, 0.01, 0.03, 0.08, 0.15))
    hops, home = line["hops"], line["home"]
    line["uneven"] = random.choice((0, 0, 1, 2))
    line["divides"] = random.randrange(max(1, home), hops - 1)
    trunk = random.randrange(max(1, home), hops)
    does: Any = random.choice(("drop", "refuse"))
    late = random.random() < 0.5
    ports = random.choice(((), (443,)))
    own: dict[str, Any] = {"networks": (HOME,), "does": does, "late": late, "code": random.choice((0, 1, 13))}
    boxes: list[tuple[Box, ...]] = [
        (), (), (Hole(at=random.randrange(hops - 1 if ports else max(1, trunk - 1), hops + 1), ports=ports, **own),),
        (Hole(at=random.randrange(2, hops), networks=(HOME,), share=random.choice((0.3, 0.5, 0.7))),),
        (Hole(at=random.randrange(1, hops), networks=("0.0.0.0/0",)),),
    ]  # fmt: skip
    if home:
        line["silent"] -= {1, 2}
        boxes += [(Hole(at=random.randint(1, home), ports=ports, **own),)]
    machine = Machine(
        dead=random.random() < 0.4, mute=random.random() < 0.3, drops=random.choice(((), (443,), (80, 443))),
        ttl=random.choice((64, 128, 255)), banned=random.choice((0.0, 0.0, 0.4)),
    )  # fmt: skip
    return net(*random.choice(boxes), hosts={TARGET: machine}, **line), trunk


def guilty(seed: int) -> tuple[Network, int, int, str]:
    """A network with a hole in the common way, how long that is, on whose link, and what it is."""
    random = Random(seed)
    line = path(random, (0.0, 0.0, 0.01, 0.03, 0.05))
    line["hops"] += 4
    line["lossy_link"] = random.choice((1, 2))
    home = line["home"]
    trunk = line["hops"] - 2
    at = random.randrange(home + 2, trunk - 2)
    shown = set(range(home + 1, at + 2)) | {trunk}  # somebody must show himself before, at and behind it
    line["silent"] -= shown
    line["limited"] = frozenset()
    does: Any = random.choice(("drop", "drop", "refuse"))
    ports = random.choice(((), (), (443,)))
    late = does == "drop" and random.random() < 0.3
    hole = Hole(at=at, networks=(HOME,), does=does, ports=ports, late=late, code=random.choice((0, 1, 9, 10, 13)))
    name = "port_block" if ports else "icmp_reject" if does == "refuse" else "ip_blackhole"
    return net(hole, **line), trunk, at + late, name


def accused(seeds: Sequence[int]) -> list[str]:
    found = []
    for seed in seeds:
        network, trunk = confounder(seed)
        judgement = ask(network, seed, trunk)
        if judgement.verdict == "interfered":
            found.append(f"seed {seed}: {judgement.rule} {link(judgement)} trunk {trunk} {network}")
    return found


def hunt(seeds: Sequence[int]) -> tuple[int, int, list[str]]:
    found = right = 0
    wrong = []
    for seed in seeds:
        network, trunk, at, name = guilty(seed)
        judgement = ask(network, seed, trunk)
        if technique(judgement) != name:
            wrong.append(f"seed {seed}: at {at} trunk {trunk} {name}: {judgement.rule} {judgement.reasons} {network}")
            continue
        found += 1
        where = link(judgement)
        if where is not None and where[0] < at <= where[1]:
            right += 1
        else:
            wrong.append(f"seed {seed}: at {at} trunk {trunk} {name}: {where} {network}")
    return found, right, wrong


def test_nobody_innocent_is_accused() -> None:
    assert accused(range(70)) == []


def test_holes_are_found_and_their_links_are_right() -> None:
    found, right, wrong = hunt(range(40))
    assert found >= 0.97 * 40, "\n".join(wrong)
    assert right >= 0.99 * found, "\n".join(wrong)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nobody_innocent_is_accused_in_thousands_of_networks() -> None:
    assert accused([*range(200), *range(10_000, 14_000)]) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_holes_are_found_in_a_thousand_networks() -> None:
    found, right, wrong = hunt([*range(100), *range(10_000, 11_000)])
    assert found >= 0.97 * 1100, "\n".join(wrong)
    assert right >= 0.99 * found, "\n".join(wrong)


def test_what_it_sends_is_little() -> None:
    kind = load("blackhole")
    given = {"target": TARGET, "siblings": [SIBLING], "control_address": CONTROL}
    for network, most in ((net(), 40), (net(Hole(at=4, networks=(HOME,))), 600)):
        internet = Forked(network, 1, 7)
        drive(kind.measure(parse_options(kind, given), Context(Random(1))), internet)
        assert internet.sent <= most
