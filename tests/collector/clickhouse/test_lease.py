"""The lease: one has it, nobody has it twice, and a dead one loses it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.clickhouse.lease import LASTS, RENEWED, SETTLED, Claim, Lease, holder_of
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.store import Ticker
from probe.collector.clickhouse.tables import prepare
from probe.model.errors import StoreError

CLAIMS = st.lists(
    st.builds(Claim, st.sampled_from("abcde"), st.integers(0, 99_000), st.integers(0, 99_000)),
    unique_by=lambda claim: claim.holder,
)  # fmt: skip


class World:
    """Claims in memory, one clock for all, and links that may be slow or gone."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.claims: dict[str, Claim] = {}


class WorldLink:
    database = cluster = ""
    hosts, modern, replicated = 1, True, False

    def __init__(self, world: World) -> None:
        self.world, self.slow, self.gone = world, 0.0, False

    def run(self, statement: str, host: int | None = None) -> None:  # noqa: ARG002 - as the others
        raise AssertionError(statement)

    def insert(self, table: str, columns: str, kinds: str, rows: Iterable[Sequence[Any]]) -> None:  # noqa: ARG002
        if self.gone:
            raise StoreError("gone")
        self.world.now += self.slow
        for _, holder, since, until, _ in rows:
            self.world.claims[holder] = Claim(holder, since, until)

    def rows(self, kinds: str, query: str, host: int | None = None) -> list[tuple[Any, ...]]:  # noqa: ARG002
        if self.gone:
            raise StoreError("gone")
        if "claims" in query:
            return [(one.holder, one.since, one.until) for one in self.world.claims.values()]
        return [(int(self.world.now),)]

    def close(self) -> None:
        pass


@pytest.fixture
def world() -> World:
    return World()


def lease(world: World, name: str) -> tuple[Lease, WorldLink]:
    link = WorldLink(world)
    return Lease(link, name, Ticker(), lambda: world.now), link


def test_the_first_one_has_it_once_its_claim_has_settled(world: World) -> None:
    (first, _), (second, _) = lease(world, "first"), lease(world, "second")
    assert not first.held()
    world.now += 1
    assert not second.held()
    world.now += SETTLED / 1000
    assert [first.held(), second.held()] == [True, False]


def test_who_dies_loses_it_and_who_leaves_gives_it_up(world: World) -> None:
    (first, link), (second, _) = lease(world, "first"), lease(world, "second")
    first.held()
    world.now += 5
    assert [first.held(), second.held()] == [True, False]
    link.gone = True
    seconds = 0
    while not second.held():
        world.now += 1
        seconds += 1
    assert LASTS / 1000 - RENEWED / 1000 <= seconds <= LASTS / 1000 + 1
    with pytest.raises(StoreError):
        first.held()
    link.gone = False
    assert not first.held(), "it came back too late"
    world.now += 10
    assert [first.held(), second.held()] == [False, True]
    second.release()
    world.now += 1
    assert first.held()


def test_a_claim_that_took_too_long_to_write_counts_from_then_on(world: World) -> None:
    (late, link), (other, _) = lease(world, "late"), lease(world, "other")
    link.slow = SETTLED / 1000 + 1
    late.held()
    link.slow = 0
    other.held()
    world.now += SETTLED / 1000
    assert sum([late.held(), other.held()]) <= 1


@given(CLAIMS, st.integers(0, 120_000))
def test_at_most_one_has_it_and_it_lives(claims: list[Claim], now: int) -> None:
    name = holder_of(claims, now)
    living = {one.holder: one for one in claims if one.until > now}
    if name:
        assert living[name].since == min(one.since for one in living.values())
        assert now - living[name].since >= SETTLED
    else:
        assert not living or min(one.since for one in living.values()) > now - SETTLED


@pytest.mark.long
@pytest.mark.loopback
def test_on_a_real_store(link: Link) -> None:
    prepare(link)
    one, two = (Lease(link, name, Ticker()) for name in ("one", "two"))
    assert [one.held(), two.held()] == [False, False]
    assert len(link.rows("s", "SELECT holder FROM claims FINAL")) == 2
    one.release()
    ((until,),) = link.rows("i", "SELECT until FROM claims FINAL WHERE holder = 'one'")
    assert until == 0
