"""`dns_resolver` on simulated networks: the lies that must be found, and whom it must never accuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from probe.model.errors import UsageError
from probe.model.exchange import Session
from probe.model.finding import Judgement
from tests.measurements.certificates import made
from tests.measurements.simboxes import DnsForger
from tests.measurements.simfar import FAR, HOME, SETTINGS, Far
from tests.measurements.simhosts import SESSION, Web
from tests.measurements.simnet import Host, Network, measure
from tests.measurements.simresolvers import BANNED_AT, GOOD, OWN_EDGE, PAGE_AT, ZONE, Diverted, Knows
from tests.measurements.worlds import claimed, link

OWN, PUBLIC, SILENT = "198.18.30.53", "203.0.113.153", "203.0.113.200"
FOREIGN = msgspec.structs.replace(SESSION, distrust="the certificate names somebody else")
OLD = msgspec.structs.replace(SESSION, chain=(made("Somebody", "banned.example"),), distrust="it has expired")
UNSET = msgspec.structs.replace(SESSION, synchronised=False)
NAME = "banned.example"


def replaced(session: Session, by: Session) -> Session:
    """A session on the clock of another."""
    return msgspec.structs.replace(session, synchronised=by.synchronised)


def world(own: Knows, public: Knows | None = None, **what: Any) -> Network:
    """The line's own resolver 5 hops away, a trusted one and all servers 9."""
    hosts: dict[str, Host] = {
        OWN: replace(own, hops=5), PUBLIC: public or Knows(), GOOD: Web(), BANNED_AT: Web(), OWN_EDGE: Web(),
        PAGE_AT: Web(tls=FOREIGN),
    }  # fmt: skip
    hosts |= what.pop("servers", {})
    return Network(hosts=hosts, **what)


def ask(network: Network, seed: int = 1, **options: object) -> Judgement:
    given: dict[str, object] = {
        "target": NAME, "resolver": OWN, "control_resolver": PUBLIC, "control_name": "good.example", "silent": SILENT,
    }  # fmt: skip
    return measure("dns_resolver", network, seed, **(given | options))


LIES: dict[str, tuple[Knows, str]] = {
    "no such name": (Knows(lies={NAME: "nxdomain"}), "denied-name"),
    "no such name, this one alone": (Knows(lies={NAME: "nxdomain"}, deep=False), "denied-name"),
    "refused": (Knows(lies={NAME: "refused"}), "refused-name"),
    "no address": (Knows(lies={NAME: "empty"}), "emptied-name"),
    "0.0.0.0": (Knows(lies={NAME: "0.0.0.0"}, deep=False), "address-of-nobody"),
    "loopback": (Knows(lies={NAME: "127.0.0.1"}), "address-of-nobody"),
    "a private address": (Knows(lies={NAME: "10.10.34.34"}), "address-for-any-name-below"),
    "a server with another certificate": (Knows(lies={NAME: PAGE_AT}), "address-for-any-name-below"),
    "an address where nobody is": (Knows(lies={NAME: "198.51.100.77"}), "address-for-any-name-below"),
}


@pytest.mark.parametrize(("own", "rule"), LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("line", [{}, {"loss": 0.03, "jitter": 0.01, "reorder": 0.05}], ids=["good line", "bad line"])
def test_a_lie_is_found_at_the_resolver(own: Knows, rule: str, line: dict[str, Any]) -> None:
    for seed in range(5):
        judgement = ask(world(own, **line), seed)
        assert claimed(judgement) == ("interfered", rule), judgement.reasons
        assert judgement.interference is not None
        assert judgement.interference.technique == "dns_lie"
        assert judgement.interference.placement == "resolver"
        assert link(judgement) == (4, 5)
        assert judgement.trials.agreed >= 3
        assert 0.5 < judgement.confidence < 1


INNOCENT: dict[str, tuple[Network, str]] = {
    "an honest resolver": (world(Knows()), "clean"),
    "an edge near by that proves itself": (world(Knows(zone=ZONE | {NAME: (OWN_EDGE,)})), "clean"),
    "an edge beside an address that does not answer": (
        world(Knows(zone=ZONE | {NAME: (OWN_EDGE, "198.51.100.77")})), "clean",
    ),
    "an edge without the certificate": (
        world(Knows(zone=ZONE | {NAME: (PAGE_AT,)})), "address-without-certificate",
    ),
    "split horizon, inside": (world(Knows(zone=ZONE | {NAME: ("10.0.0.7",)})), "address-without-certificate"),
    "split horizon with all names below, and a server that proves itself": (
        world(Knows(lies={NAME: OWN_EDGE})), "clean",
    ),
    "the trusted one knows all names below too": (
        world(Knows(lies={NAME: PAGE_AT}), Knows(lies={NAME: BANNED_AT})), "address-without-certificate",
    ),
    "it rewrites what does not exist, and all is well": (world(Knows(rewrite=PAGE_AT)), "clean"),
    "it rewrites, and remembers that there was no such name": (
        world(Knows(rewrite=PAGE_AT, lies={NAME: PAGE_AT})), "taken-for-nonexistent",
    ),
    "it remembers that there was no such name": (
        world(Knows(soa=True, lies={NAME: "nxdomain"}, deep=False), Knows(soa=True)), "negative-answer-of-the-zone",
    ),
    "it can't reach the name's servers": (world(Knows(lies={NAME: "servfail"})), "resolver-fails"),
    "it drops the name": (world(Knows(lies={NAME: ""})), "no-answer"),
    "it refuses everybody": (world(Knows(strangers=True)), "control-failed"),
    "it cuts everything short": (world(Knows(truncate=True)), "control-failed"),
    "the trusted one is dead": (world(Knows(), Knows(lies={"example": ""})), "control-failed"),
    "the trusted one dies under way": (world(Knows(lies={NAME: "refused"}), Knows(dead_after=12)), "control-failed"),
    "the site's certificate has expired": (
        world(Knows(lies={NAME: PAGE_AT}), servers={BANNED_AT: Web(tls=FOREIGN)}), "control-unverified",
    ),
    "the site has a certificate of its own making, and both agree": (
        world(Knows(), servers={BANNED_AT: Web(tls=FOREIGN)}), "agreed-address-unproven",
    ),
    "the site has no TLS, and both agree": (
        world(Knows(), servers={BANNED_AT: Web(port="closed")}), "clean",
    ),
    "no clock": (
        world(Knows(lies={NAME: PAGE_AT}), servers={BANNED_AT: Web(tls=UNSET), PAGE_AT: Web(tls=replaced(OLD, UNSET))}),
        "clock-not-set",
    ),
    "a clock so wrong that nothing is right": (
        world(Knows(lies={NAME: PAGE_AT}), servers={BANNED_AT: Web(tls=replaced(OLD, UNSET))}), "control-unverified",
    ),
    "the name has moved, and its old name servers still answer": (
        world(Knows(lies={NAME: PAGE_AT}, soa=True, server="old"), Knows(soa=True)), "another-zone",
    ),
    "… and the trusted resolver does not say which zone it is in": (
        world(Knows(lies={NAME: PAGE_AT}, soa=True, server="old"), Knows()), "zone-unknown",
    ),
    "the name does not exist": (world(Knows(zone={"good.example": (GOOD,)}), Knows(zone={"good.example": (GOOD,)})),
                                "no-such-name"),
    "the home router answers for everybody": (
        world(Knows(), boxes=(DnsForger(at=1, names=("",), in_path=True),)), "home-router-answers",
    ),
    "the home router filters one name": (
        world(Knows(), boxes=(DnsForger(at=1, names=(NAME,), in_path=True, nxdomain=True),)), "home-router-answers",
    ),
    "… towards this resolver alone": (
        world(Knows(), boxes=(DnsForger(at=1, only=OWN, names=(NAME,), in_path=True, nxdomain=True),)),
        "home-router-answers",
    ),
    "the home router sends all queries to a filter of its owner's choice": (
        world(Knows(), boxes=(Diverted(at=1, to=8, resolver=Knows(lies={NAME: "nxdomain"})),)),
        "somebody-answers-for-all",
    ),
    "… those for this resolver alone": (
        world(Knows(), boxes=(Diverted(at=1, to=9, only=OWN, resolver=Knows(lies={NAME: "nxdomain"})),), hops=12),
        "answered-from-elsewhere",
    ),
    "somebody on the way forges": (
        world(Knows(), boxes=(DnsForger(at=3, names=(NAME,)),)), "answered-on-the-way",
    ),
    "… and listens to queries for this resolver alone": (
        world(Knows(), boxes=(DnsForger(at=3, only=OWN, names=(NAME,), in_path=True, nxdomain=True),)),
        "answered-on-the-way",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("network", "rule"), INNOCENT.values(), ids=INNOCENT.keys())
def test_nobody_innocent_is_accused(network: Network, rule: str) -> None:
    for seed in range(5):
        judgement = ask(network, seed)
        verdict, said = claimed(judgement)
        assert verdict != "interfered"
        assert said == rule, judgement.reasons


def test_a_slow_liar_is_waited_for() -> None:
    judgement = ask(world(Knows(lies={NAME: "nxdomain"}, slow=0.8)))
    assert claimed(judgement) == ("interfered", "denied-name")
    assert link(judgement) == (4, 5)


def test_without_a_clock_a_certificate_for_another_name_still_tells() -> None:
    page = msgspec.structs.replace(UNSET, chain=(made("Operator", "page.example"),), distrust="not yet valid")
    network = world(Knows(lies={NAME: PAGE_AT}), servers={BANNED_AT: Web(tls=UNSET), PAGE_AT: Web(tls=page)})
    assert claimed(ask(network)) == ("interfered", "address-for-any-name-below")


def test_a_zone_of_the_resolver_s_own_making_is_no_other_version() -> None:
    own = Knows(lies={NAME: "nxdomain"}, soa=True, server="block", claims=True)
    assert claimed(ask(world(own, Knows(soa=True)))) == ("interfered", "denied-name")


@pytest.mark.parametrize(("own", "_rule"), LIES.values(), ids=LIES.keys())
def test_without_a_silent_address_nobody_is_accused(own: Knows, _rule: str) -> None:
    assert claimed(ask(world(own), silent="")) == ("inconclusive", "no-silent-address")


@pytest.mark.parametrize("address", ["9.9.9.9", "1.1.1.3"])
def test_a_public_resolver_that_filters_is_named_and_not_accused(address: str) -> None:
    network = world(Knows(), servers={address: Knows(lies={NAME: "nxdomain"}, hops=7)})
    judgement = ask(network, resolver=address)
    assert claimed(judgement) == ("inconclusive", "public-resolver-filters")
    assert address in judgement.reasons[0]


def test_the_trusted_resolver_alone_is_asked_where_no_other_is_given() -> None:
    assert claimed(ask(world(Knows()), resolver="")) == ("clean", "clean")
    assert claimed(ask(world(Knows()), resolver=PUBLIC)) == ("clean", "clean")


def test_a_name_that_does_not_exist_and_is_answered_like_all_such_names() -> None:
    empty: dict[str, tuple[str, ...]] = {"good.example": (GOOD,)}
    judgement = ask(world(Knows(zone=empty, rewrite=PAGE_AT), Knows(zone=empty)))
    assert claimed(judgement) == ("inconclusive", "nonexistent-name-unproven")


def test_a_trusted_resolver_that_fails_for_the_name_says_nothing() -> None:
    judgement = ask(world(Knows(lies={NAME: "nxdomain"}), Knows(lies={NAME: "servfail"})))
    assert claimed(judgement) == ("inconclusive", "control-disagrees")


def test_one_machine_of_several_that_lies_is_no_resolver_that_lies() -> None:
    found = {claimed(ask(world(Knows(lies={NAME: "nxdomain"}, shares=0.5)), seed))[1] for seed in range(12)}
    assert "answers-differ" in found
    assert found <= {"answers-differ", "clean", "denied-name"}


REDIRECTED: dict[str, tuple[tuple[Diverted, ...], str, str, str]] = {
    # who turns queries away → what the measurement says with our name server's word, and without it
    "all queries go to the operator's own": (
        (Diverted(at=3, to=5, resolver=Knows(asks_as=OWN)),),
        "interfered", "silent-address-answers", "somebody-answers-for-all",
    ),
    "… to another machine of its": (
        (Diverted(at=3, to=6, resolver=Knows(asks_as="198.18.30.77")),),
        "interfered", "silent-address-answers", "somebody-answers-for-all",
    ),
    "those for the trusted one alone": (
        (Diverted(at=6, to=7, only=PUBLIC, resolver=Knows(asks_as=OWN)),),
        "interfered", "other-resolver-answers", "clean",
    ),
    "those for the trusted one alone, perhaps in the home": (
        (Diverted(at=3, to=5, only=PUBLIC, resolver=Knows(asks_as=OWN)),),
        "inconclusive", "resolver-doubtful", "clean",
    ),
    "all, by the operator's first router, or the home's": (
        (Diverted(at=2, to=5, resolver=Knows(asks_as=OWN)),),
        "inconclusive", "somebody-answers-for-all", "somebody-answers-for-all",
    ),
    "the home router sends all to the operator's own": (
        (Diverted(at=1, to=5, resolver=Knows(asks_as=OWN)),),
        "inconclusive", "somebody-answers-for-all", "somebody-answers-for-all",
    ),
    "… those for the trusted one alone": (
        (Diverted(at=1, to=5, only=PUBLIC, resolver=Knows(asks_as=OWN)),),
        "inconclusive", "resolver-doubtful", "clean",
    ),
    "the home router sends all to a filter abroad": (
        (Diverted(at=1, to=8, resolver=Knows(asks_as="45.90.28.7", lies={NAME: "nxdomain"})),),
        "inconclusive", "somebody-answers-for-all", "somebody-answers-for-all",
    ),
    "the home router sends those for the trusted one to another": (
        (Diverted(at=1, to=7, only=PUBLIC, resolver=Knows(asks_as="45.90.28.7")),), "clean", "clean", "clean",
    ),
    "the home router answers them itself, and asks the operator's": (
        (Diverted(at=1, to=1, resolver=Knows(asks_as=OWN)),),
        "inconclusive", "home-router-answers", "home-router-answers",
    ),
    "the home itself resolves names": (
        (Diverted(at=1, to=1, resolver=Knows(asks_as=HOME[4])),),
        "inconclusive", "home-router-answers", "home-router-answers",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("boxes", "verdict", "rule", "without"), REDIRECTED.values(), ids=REDIRECTED.keys())
def test_queries_that_are_sent_elsewhere(boxes: tuple[Diverted, ...], verdict: str, rule: str, without: str) -> None:
    for far, expected in ((Far(), (verdict, rule)), (Far(mute=True), ("", without))):
        own, public = Knows(asks_as=OWN), Knows(asks_as=PUBLIC)
        network = world(own, public, servers={FAR[4]: far}, boxes=boxes, loss=0.01)
        for seed in range(3):
            judgement = ask(network, seed, reflector=FAR[4])
            assert claimed(judgement)[1] == expected[1], judgement.reasons
            assert claimed(judgement)[0] == (expected[0] or claimed(judgement)[0])
            if verdict == "interfered" and expected[0]:
                assert judgement.interference is not None
                assert judgement.interference.technique == "dns_redirect"
                place = link(judgement)
                assert place is not None
                assert place[0] < boxes[0].at <= place[1]


@pytest.mark.parametrize("what", ["all queries go to the operator's own", "those for the trusted one alone"])
def test_what_a_bad_line_loses_is_asked_for_again(what: str) -> None:
    boxes, verdict, rule, _ = REDIRECTED[what]
    network = world(
        Knows(asks_as=OWN), Knows(asks_as=PUBLIC), servers={FAR[4]: Far()}, boxes=boxes, loss=0.08, jitter=0.01,
    )  # fmt: skip
    found = [claimed(ask(network, seed, reflector=FAR[4])) for seed in range(40)]
    assert found.count((verdict, rule)) >= 39, found


@pytest.mark.parametrize("asks_as", [OWN, PUBLIC, "45.90.28.7", HOME[4]])
def test_it_does_not_matter_whom_an_honest_resolver_asks_in_turn(asks_as: str) -> None:
    network = world(Knows(asks_as=asks_as), Knows(asks_as=PUBLIC), servers={FAR[4]: Far()})
    judgement = ask(network, reflector=FAR[4])
    assert claimed(judgement) == ("clean", "clean")
    shown = judgement.details["resolved_by"]["resolver"]
    assert shown == [["self" if asks_as == HOME[4] else asks_as.rpartition(".")[0] + ".0/24"]] * 3


def test_the_far_end_may_know_a_silent_address() -> None:
    far = Far(settings=msgspec.structs.replace(SETTINGS, silent=(SILENT, "2001:db8:c0::200")))
    network = world(Knows(lies={NAME: "nxdomain"}), servers={FAR[4]: far})
    assert claimed(ask(network, silent="", reflector=FAR[4])) == ("interfered", "denied-name")


def test_over_ipv6() -> None:
    own, public, silent, server = "2001:db8:30::53", "2001:db8:c0::53", "2001:db8:c0::200", "2001:db8:a0::10"
    zone: dict[str, tuple[str, ...]] = {"good.example": ("2001:db8:c0::80",), NAME: (server,)}
    for lie, found in (("nxdomain", "denied-name"), ("empty", "no-ipv6-address"), ("::1", "address-of-nobody")):
        hosts: dict[str, Host] = {
            own: Knows(zone=zone, lies={NAME: lie}, hops=5), public: Knows(zone=zone), server: Web(),
        }  # fmt: skip
        judgement = ask(
            Network(version=6, hosts=hosts), resolver=own, control_resolver=public, silent=silent
        )
        assert claimed(judgement)[1] == found


def test_broken_ipv6_is_inconclusive() -> None:
    network = Network(version=6, loss=1.0, lossy_link=1)
    judgement = ask(network, resolver="2001:db8:30::53", control_resolver="2001:db8:c0::53", silent="2001:db8:c0::200")
    assert claimed(judgement) == ("inconclusive", "control-failed")


def test_it_says_what_it_lacks() -> None:
    with pytest.raises(UsageError, match="--control-resolver"):
        measure("dns_resolver", world(Knows()), 1, target=NAME)
