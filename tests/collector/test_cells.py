"""Settling what the probes of a cell say together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import instants
from probe.collector.cells import HEARD_TOGETHER, Standing, cell_key, column_key, operator_key, settle
from probe.model.finding import Line, Target, Verdict

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")


def standing(probe: str, verdict: Verdict, at: int = NOON, since: int | None = None) -> Standing:
    return Standing(probe, f"finding of {probe}", at, verdict, at if since is None else since)


def test_one_probe_settles_alone() -> None:
    settled = settle([standing("a", "interfered", since=NOON - 100)])
    assert (settled.verdict, settled.since, settled.last, settled.agree, settled.probes) == (
        "interfered",
        NOON - 100,
        NOON,
        1,
        1,
    )


def test_most_probes_win_and_the_dissent_is_counted() -> None:
    settled = settle(
        [standing("a", "interfered"), standing("b", "clean", NOON + 5), standing("c", "interfered", NOON + 2)]
    )
    assert (settled.verdict, settled.agree, settled.probes) == ("interfered", 2, 3)
    assert settled.finding_id == "finding of c", "the newest that agrees"
    assert settled.last == NOON + 5, "last measured counts the dissenter too"


def test_since_is_when_the_first_agreeing_probe_began() -> None:
    settled = settle(
        [
            standing("a", "down", since=NOON - 50),
            standing("b", "down", since=NOON - 90),
            standing("c", "clean", since=0),
        ]
    )
    assert settled.since == NOON - 90


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [("clean", "interfered", "interfered"), ("clean", "down", "down"), ("down", "interfered", "interfered")],
)
def test_a_tie_shows_the_better_founded_word(one: Verdict, other: Verdict, wins: Verdict) -> None:
    settled = settle([standing("a", one), standing("b", other)])
    assert (settled.verdict, settled.agree, settled.probes) == (wins, 1, 2)


def test_inconclusive_probes_outvote_nobody_but_are_counted() -> None:
    settled = settle([standing("a", "inconclusive"), standing("b", "inconclusive"), standing("c", "clean")])
    assert (settled.verdict, settled.agree, settled.probes) == ("clean", 1, 3)


def test_a_probe_that_fell_silent_counts_no_more() -> None:
    silent = standing("a", "interfered", NOON - HEARD_TOGETHER - 1)
    assert settle([silent, standing("b", "clean")]).probes == 1
    assert settle([msgspec.structs.replace(silent, at=NOON - HEARD_TOGETHER), standing("b", "clean")]).probes == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["clean", "interfered", "down", "inconclusive"]), st.integers(0, 2 * HEARD_TOGETHER)),
        min_size=1,
        max_size=8,
    ),
    st.randoms(),
)
def test_the_order_of_the_probes_is_no_matter(says: list[tuple[Verdict, int]], random: object) -> None:
    standings = [standing(f"p{n}", verdict, at) for n, (verdict, at) in enumerate(says)]
    settled = settle(standings)
    assert settle(reversed(standings)) == settled
    assert settle(sorted(standings, key=lambda s: (s.verdict, s.at))) == settled
    assert 1 <= settled.agree <= settled.probes <= len(standings)
    assert settled.since <= settled.last == max(s.at for s in standings)


def test_operators_are_told_apart_by_number_then_by_name() -> None:
    assert operator_key(Line("Atlas", 64501)) == operator_key(Line("ATLAS TELECOM S.A.", 64501))
    assert operator_key(Line("Atlas ")) == operator_key(Line("atlas"))
    assert operator_key(Line("Atlas")) != operator_key(Line("Rif"))


def test_a_column_is_an_operator_in_a_country_by_access() -> None:
    lines = [
        Line("A", 1, "MA", "fixed"),
        Line("A", 1, "MA", "mobile"),
        Line("A", 1, "DZ", "fixed"),
        Line("A", 2, "MA", "fixed"),
    ]
    assert len({column_key(line) for line in lines}) == 4


def test_a_cell_is_permanent_and_its_own(probes: Callable[..., FakeProbe]) -> None:
    one, two = probes("p-one"), probes("p-two")
    assert cell_key(one.finding()) == cell_key(two.finding("interfered", NOON + 1))
    others = [
        one.finding(measurement="tcp_reset"),
        one.finding(target=Target("calls.example")),
        one.finding(line=Line("Rif", 64502, "MA", "fixed")),
    ]
    assert len({cell_key(f) for f in [one.finding(), *others]}) == 4
