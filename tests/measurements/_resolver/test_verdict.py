"""The rules of `dns_resolver`, on answers made by hand: what one simulated network does not show."""

from __future__ import annotations

from probe.measurements._locate import Shot
from probe.measurements._resolver.seen import Answer, Seen, Swept, Tried
from probe.measurements._resolver.verdict import judge
from probe.model.finding import Judgement, Target

OWN, PUBLIC, SILENT = "198.18.30.53", "203.0.113.153", "203.0.113.200"
TRUE, OTHER = "203.0.113.10", "198.51.100.99"
NONE = Answer(kind="nxdomain", rcode=3)


def given(address: str) -> Answer:
    return Answer(kind="addresses", rcode=0, addresses=frozenset({address}), ttl=60)


def heard(own: Answer, **questions: Answer) -> Seen:
    """Both resolvers work; the trusted one knows the name, whose server proves itself; the path has been swept."""
    seen = Seen("press.example", OWN, PUBLIC, SILENT, "good.example")
    for phase in ("before", "after"):
        for who in ("resolver", "control"):
            seen.said[phase, who] = [given("203.0.113.180")] * 3
    seen.said["target", "control"] = [given(TRUE)] * 3
    seen.said["target", "resolver"] = [own] * 3
    for what in ("below", "absent"):
        seen.said[what, "control"] = [NONE] * 3
        seen.said[what, "resolver"] = [questions.get(what, NONE)] * 3
    seen.said["target", "silent"] = seen.said["harmless", "silent"] = [None] * 3
    seen.servers_before = seen.servers_after = {TRUE: Tried(right=True)}
    for address in own.addresses - {TRUE}:
        seen.odd_servers[address] = [Tried(right=False, wrong="names somebody else")] * 3
    seen.told_zone = {"resolver", "control"}
    seen.sweeps["resolver"] = Swept(
        shots=[Shot(5, True, 60)] * 3, twins=[(4, False), (5, True)], routers={1: "0.0.0.1", 4: "198.18.30.4"}
    )
    return seen


def rule(seen: Seen) -> str:
    return judged(seen).rule.partition("/")[2]


def judged(seen: Seen) -> Judgement:
    return judge(seen, Target("press.example"))


def test_a_lie_names_resolver_place_and_truth() -> None:
    found = judged(heard(given(OTHER), below=given(OTHER)))
    assert found.rule == "dns_resolver/address-for-any-name-below"
    assert found.interference is not None
    assert found.interference.location is not None
    assert found.interference.location.attribution == f"at the resolver {OWN}, hop 5"
    assert found.interference.location.first_hop is not None
    assert found.interference.location.first_hop.address == OWN
    told = " ".join(found.reasons)
    assert OTHER in told
    assert TRUE in told
    assert "names somebody else" in told
    assert (found.trials.made, found.controls.made, found.controls.agreed) == (3, 18, 18)


def test_without_a_place_there_is_no_lie() -> None:
    for own in (NONE, given("0.0.0.0")):
        seen = heard(own)
        seen.sweeps.clear()
        assert rule(seen) == "resolver-not-located"


def test_a_wrong_address_for_random_names_that_truly_exist_is_no_lie() -> None:
    seen = heard(given(OTHER), below=given(OTHER))
    seen.said["below", "control"] = [given(OTHER)] * 3
    assert rule(seen) == "address-without-certificate"


def test_a_name_that_the_trusted_resolver_denies_inside_tls_and_the_other_answers_like_any_such() -> None:
    seen = heard(given(OTHER), absent=given(OTHER))
    seen.said["target", "control"] = [NONE] * 3
    assert rule(seen) == "nonexistent-name-unproven"
    seen.denied_by = {"before", "after"}
    assert rule(seen) == "nonexistent-name-answered"
    seen.silent = ""
    assert rule(seen) == "nonexistent-name-unproven"
    seen = heard(given(OTHER), absent=NONE)
    seen.said["target", "control"] = [NONE] * 3
    seen.denied_by = {"before", "after"}
    assert rule(seen) == "control-disagrees"


def test_unless_both_say_which_zone_it_is_in_there_is_no_lie() -> None:
    seen = heard(NONE)
    assert rule(seen) == "denied-name"
    seen.zones = {"resolver": ("example", "6e"), "control": ("example", "6f")}
    assert rule(seen) == "another-zone"
    seen.told_zone = {"control"}
    assert rule(seen) == "zone-unknown"


def test_two_random_names_are_too_few() -> None:
    seen = heard(given(OTHER), below=given(OTHER))
    seen.said["below", "resolver"] = [given(OTHER), given(OTHER), None]
    assert rule(seen) == "address-without-certificate"


def test_an_address_that_could_not_be_looked_at_is_not_judged() -> None:
    seen = heard(given(OTHER), below=given(OTHER))
    seen.odd_servers.clear()
    assert rule(seen) == "other-address"


def test_a_server_that_proves_itself_before_but_not_after_proves_nothing() -> None:
    seen = heard(given(OTHER), below=given(OTHER))
    seen.servers_after = {TRUE: Tried(right=False, failure="timeout")}
    assert rule(seen) == "control-unverified"


def test_the_trusted_resolver_s_own_certificate_proves_it_where_the_site_s_servers_can_t_be_reached() -> None:
    for own, said in ((NONE, "denied-name"), (given("0.0.0.0"), "address-of-nobody")):
        seen = heard(own)
        seen.servers_before = seen.servers_after = {TRUE: Tried(right=False, failure="reset")}
        assert rule(seen) == "control-unverified"
        seen.confirmed_by = {"before": frozenset({TRUE}), "after": frozenset()}
        assert rule(seen) == "control-unverified"
        seen.confirmed_by["after"] = frozenset({"127.0.0.9"})
        assert rule(seen) == "control-unverified"
        seen.confirmed_by["after"] = frozenset({TRUE})
        assert rule(seen) == said
    seen = heard(given(OTHER))
    seen.confirmed_by = {"before": frozenset({OTHER}), "after": frozenset()}
    assert rule(seen) == "clean"


def test_answers_cut_short_prove_nothing() -> None:
    assert rule(heard(Answer(kind="empty", rcode=0, truncated=True))) == "truncated"


def test_a_resolver_of_ours_that_rewrites_is_said_to_in_a_clean_verdict() -> None:
    found = judged(heard(given(TRUE), absent=given(OTHER)))
    assert found.verdict == "clean"
    assert "rewrites" in found.reasons[-1]


def redirected(networks: list[set[str]], at: int = 5, still: int = 0) -> Seen:
    """``still``: how often the trusted resolver answers where the line's own does nine times of nine."""
    seen = heard(given(TRUE))
    seen.askers["control"] = networks
    swept = Swept(shots=[Shot(at, True, 60)], twins=[(at, True)], routers={1: "0.0.0.1"})
    swept.own_there, swept.still_there = [True] * 9, [True] * still + [False] * (9 - still)
    seen.sweeps = {"control": swept}
    return seen


def test_a_question_to_another_that_the_own_resolver_alone_asks_is_redirected() -> None:
    found = judged(redirected([{"198.18.30.0/24"}] * 3))
    assert found.rule == "dns_resolver/other-resolver-answers"
    assert found.interference is not None
    assert found.interference.technique == "dns_redirect"
    assert found.interference.location is not None
    assert (found.interference.location.clean_ttl, found.interference.location.first_ttl) == (1, 5)


def test_a_redirection_that_may_be_the_home_s_accuses_nobody() -> None:
    assert rule(redirected([{"198.18.30.0/24"}] * 3, still=1)) == "resolver-doubtful"
    assert rule(redirected([{"198.18.30.0/24"}] * 3, still=9)) == "resolver-doubtful"


def test_who_asks_again_what_was_asked_redirects_nothing() -> None:
    """Somebody who watches may have the own resolver ask the same again: the trusted one's question comes too."""
    assert rule(redirected([{"198.18.30.0/24", "192.0.2.0/24"}] * 3)) == "clean"
    assert rule(redirected([{"198.18.30.0/24"}, {"192.0.2.0/24"}, {"198.18.30.0/24"}])) == "resolver-doubtful"


def test_a_redirection_from_right_behind_the_home_may_be_the_home_s() -> None:
    assert rule(redirected([{"198.18.30.0/24"}] * 3, at=2)) == "resolver-doubtful"
    assert rule(redirected([{"198.18.30.0/24"}] * 3, at=1)) == "home-router-answers"


def for_all(networks: list[set[str]], routers: dict[int, str]) -> Seen:
    seen = heard(given(TRUE))
    seen.said["harmless", "silent"] = seen.said["target", "silent"] = [given("203.0.113.180")] * 3
    seen.askers["silent"] = networks
    swept = Swept(shots=[Shot(5, True, 60)], twins=[(5, True)], routers={1: "0.0.0.1", **routers})
    swept.beside, swept.at_routers = [True] * 9, {"198.51.0.2": [False] * 9}
    seen.sweeps = {"silent": swept}
    return seen


def test_whoever_answers_for_a_silent_address_must_be_shown_to_be_the_operator_s() -> None:
    behind = {7: "198.51.0.7"}
    assert rule(for_all([{"198.18.30.0/24"}] * 3, behind)) == "silent-address-answers"
    assert rule(for_all([{"198.18.30.0/24"}] * 3, {})) == "somebody-answers-for-all"
    assert rule(for_all([{"45.90.28.0/24"}] * 3, behind)) == "somebody-answers-for-all"
    assert rule(for_all([{"self"}] * 3, behind)) == "somebody-answers-for-all"
    assert rule(for_all([], behind)) == "somebody-answers-for-all"
    at_home = for_all([{"198.18.30.0/24"}] * 3, behind)
    at_home.sweeps["silent"].at_routers = {"198.51.0.2": [True] * 8 + [False], "198.51.0.3": [True] * 9}
    assert rule(at_home) == "somebody-answers-for-all"
