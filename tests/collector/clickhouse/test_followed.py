"""A pass reads what changed, and comes to the same as one that reads everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

import pytest

from probe.collector.clickhouse import followed
from probe.collector.clickhouse.followed import Followed
from probe.collector.incidents.follow import Follow
from probe.collector.incidents.model import HOUR, Sight
from probe.collector.verdicts import Connected, Judged
from tests.collector.incidents.stories import cut
from tests.collector.test_rollup import END, START, TUNISIA, findings, give, told

if TYPE_CHECKING:
    from tests.collector.clickhouse.conftest import ClickHouseDesk
    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]


def test_a_pass_reads_the_hours_that_it_changed(
    desk: ClickHouseDesk, probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    rows_of = Follow.see

    def see(self: Follow, sights: Iterable[Sight]) -> None:
        some = list(sights)
        read.append(len(some))
        rows_of(self, some)

    monkeypatch.setattr(Follow, "see", see)
    some = sorted(findings(probes), key=lambda f: f.started_at)
    give(desk, some[:-5], size=1000)
    del read[:]
    desk.give(*some[-5:], received_at=END)
    assert sum(read) <= 5 * 3  # the other probes' results of the same hours, at most


@pytest.mark.parametrize("seed", range(4))
def test_going_on_comes_to_the_same_as_telling_anew(
    desks: Callable[..., ClickHouseDesk], probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Any order, portions, repetitions, deliveries days later, homes that become known in between, another collector
    that takes over, and too little room in memory."""
    random = Random(seed)
    monkeypatch.setattr(followed, "ROOM", random.choice([150, 1_000_000]))
    going, anew = desks("going"), desks("anew")
    here = findings(probes, liars=1, homes=4)
    abroad = findings(probes, line=TUNISIA, prefix="abroad", homes=2, world=cut(("2026-01-07", "2026-01-08T06")))
    late = [f for f in here if f.probe.id == "home3" and "2026-01-06" < f.started_at < "2026-01-12"]
    prompt = sorted((f for f in here + abroad if f not in late), key=lambda f: f.started_at)
    if seed % 2:
        random.shuffle(prompt)
    start = 0
    while start < len(prompt):
        size = random.choice([1, 5, 60, 200])
        going.give(*prompt[start : start + size], *random.sample(prompt[:start], min(start, 5)), received_at=END)
        start += size
        if random.random() < 0.15:
            probe = random.choice(["home0", "home1", "abroad0"])
            for desk in (going, anew):
                desk.store.commit([Judged("", b"", START + start * HOUR, Connected(probe, random.choice("ab")))])
        if random.random() < 0.1:
            going.settler.begin()
    give(going, late)
    monkeypatch.setattr(Followed, "changed", lambda self, *_: self.forget())
    give(anew, sorted(here + abroad, key=lambda f: f.id), size=1000)
    assert told(going) == told(anew)
    assert told(going)
