"""The table of a run's addresses."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from probe.measurements._hole.company import Wanted
from probe.measurements._hole.muster import Row, choose, conclude, sort_out
from probe.measurements._hole.verdict import Case
from probe.measurements._hole.ways import Aim
from probe.measurements._locate import Place
from probe.measurements._reach import ICMP, UDP, Answer, Sight, tcp
from probe.model.finding import Tally

A, B, C = "198.51.100.10", "198.51.100.11", "192.0.2.10"
ONE, TWO = "203.0.113.10", "203.0.113.180"


def sight(port: int, answer: Answer = "", hops: int | None = None, refused: str = "") -> Sight:
    probe = tcp(port) if port else ICMP
    return Sight(probe=probe, ttl=64, answer=answer, hops=hops, refused=(refused, 1) if refused else None)


def row(address: str, *sights: Sight, listed: bool = True) -> Row:
    return sort_out(Wanted(address, listed=listed), [80, 443], list(sights))


def alive(*addresses: str) -> dict[str, list[Sight]]:
    return {address: [sight(80, "open", 8)] for address in addresses}


def hole(address: str = A) -> dict[Aim, Case]:
    aim = Aim(address, (tcp(80), tcp(443), UDP, ICMP))
    place = Place(3, 4, "198.18.0.3", "198.18.0.4", "in_path", 48, 48)
    return {aim: Case(aim=aim, verdict="interfered", rule="dies-where-others-pass", reason="Gone.", place=place,
                      technique="ip_blackhole", trials=Tally(48, 48), controls=Tally(32, 32))}  # fmt: skip


def test_what_each_port_showed() -> None:
    one = row(A, sight(80, "open", 8), sight(443, refused="198.18.0.4"))
    assert (one.ports, one.answers, one.odd_ports) == ({80: "open", 443: "refused"}, True, [443])
    assert row(A).ports == {80: "silent", 443: "silent"}
    assert row(A).odd_ports == []  # an address that is silent altogether is not a matter of ports
    assert row(A, sight(0, "reply", 8)).odd_ports == [80, 443]
    assert row(A, sight(80, refused="198.18.0.4")).refused_by == "198.18.0.4"


@pytest.mark.parametrize(("hops", "odd"), [(8, []), (7, []), (3, [443]), (None, [])])
def test_a_reset_from_elsewhere_is_odd(hops: int | None, odd: list[int]) -> None:
    assert row(A, sight(80, "open", 8), sight(443, "closed", hops)).odd_ports == odd


def test_a_port_that_answers_now_and_then_is_odd() -> None:
    often = [sight(80, "open", 8), sight(80, "open", 8), sight(80), sight(443, "open", 8)]
    assert row(A, *often).odd_ports == []
    assert row(A, *often, sight(80)).odd_ports == [80]


def test_its_voice_is_rather_an_open_port() -> None:
    assert row(A, sight(0, "reply"), sight(80, "closed"), sight(443, "open")).voice == tcp(443)


def test_a_few_of_each_network_are_looked_at() -> None:
    rows = [row(f"198.51.100.{n}", listed=False) for n in range(50)] + [row(A), row(C)]
    rows += [row(f"192.0.{n}.1", listed=False) for n in range(3, 30)]
    chosen = choose(rows, Random(1))
    assert len(chosen) == 4
    assert chosen == choose(rows, Random(1))
    assert {A, C} <= set(chosen)
    assert sum(address.startswith("198.51.100.") for address in chosen) == 2


def test_the_gravest_supported_thing_decides() -> None:
    rows = [row(C, sight(80, "open", 8)), row(A), row(B)]
    found = conclude("octenium", "octenium", rows, hole(), alive(ONE, TWO), alive(ONE, TWO), [])
    assert (found.verdict, found.rule) == ("interfered", "blackhole/dies-where-others-pass")
    assert (found.target.address, found.target.group) == (A, "octenium")
    assert [line["verdict"] for line in found.details["addresses"]] == ["clean", "interfered", "inconclusive"]
    assert found.details["addresses"][1]["link"] == [3, 4]
    assert found.reasons[1] == "Of 3 addresses: answers 1, dies-where-others-pass 1, silent 1."


@pytest.mark.parametrize(
    ("before", "after"),
    [(alive(ONE), alive(ONE)), (alive(ONE, TWO), alive(ONE)), (alive(ONE, TWO), {}), ({}, {})],
)
def test_references_must_answer_before_and_after(
    before: dict[str, list[Sight]], after: dict[str, list[Sight]]
) -> None:
    found = conclude(A, "", [row(A)], hole(), before, after, [])
    assert (found.verdict, found.rule) == ("inconclusive", "blackhole/control-failed")
    assert found.confidence == 0.0


def test_a_port_s_twin_must_answer_afterwards() -> None:
    aim = Aim(A, (tcp(443),))
    case = Case(aim=aim, verdict="interfered", rule="dies-where-others-pass", reason="Gone.", technique="port_block")
    rows = [row(A, sight(80, "open", 8), sight(443))]
    before = alive(ONE)
    assert conclude(A, "", rows, {aim: case}, before, alive(ONE), []).verdict == "inconclusive"
    found = conclude(A, "", rows, {aim: case}, before, alive(ONE, A), [])
    assert (found.verdict, found.target.port) == ("interfered", 443)


def test_names_without_addresses_are_told() -> None:
    found = conclude(A, "", [row(A, sight(80, "open", 8))], {}, alive(ONE), alive(ONE), ["gone.example"])
    assert (found.verdict, found.rule) == ("inconclusive", "blackhole/name-unknown")
    assert "gone.example" in found.reasons[-1]


def test_a_version_without_references_says_nothing() -> None:
    found = conclude("2001:db8::1", "", [row("2001:db8::1", sight(80, "open"))], {}, alive(ONE), alive(ONE), [])
    assert found.rule == "blackhole/control-failed"
    assert "IPv6" in found.reasons[0]


def test_a_witness_takes_the_last_doubt_away() -> None:
    alone = conclude(A, "", [row(A)], hole(), alive(ONE, TWO), alive(ONE, TWO), [])
    assert alone.reasons[-1].startswith("One line can't see")
    heard = {aim: msgspec.structs.replace(case, witness="It is up.") for aim, case in hole().items()}
    found = conclude(A, "", [row(A)], heard, alive(ONE, TWO), alive(ONE, TWO), [])
    assert "It is up." in found.reasons
    assert not any(reason.startswith("One line can't see") for reason in found.reasons)
