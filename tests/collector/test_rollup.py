"""Findings in, incidents out, through the store: whatever the order, the batches and the repetitions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector import rollup
from probe.collector.incidents.model import HOUR, Incident
from probe.collector.ingest import judge_message
from probe.collector.keyring import Keyring
from probe.collector.verdicts import Judged
from probe.model import feed
from probe.model.finding import Finding, Interference, Line, Target
from tests.collector.incidents.stories import Result, Story, World, at, cut

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

Probes = Callable[..., "FakeProbe"]
START, END = at("2026-01-01"), at("2026-01-16")
CUT = ("2026-01-05T07:30", "2026-01-09T21:10")
ALGERIA, TUNISIA = Line("Fawri", 36947, "DZ", "fixed"), Line("Autre", 2609, "TN", "fixed")
IS_CUT = cut(CUT)
VERDICTS = {"good": "clean", "bad": "interfered", "down": "down"}


def findings(
    probes: Probes, world: World = IS_CUT, *, line: Line = ALGERIA, homes: int = 3, prefix: str = "home",
    technique: str = "ip_blackhole", target: str = "196.20.66.10", liars: int = 0, measurement: str = "blackhole",
) -> list[Finding]:  # fmt: skip
    story = Story(world, START, END, homes=homes, period=3 * HOUR, liars=liars)
    found = []
    for number in range(homes):
        probe = probes(f"{prefix}{number}", line)
        for when, result in story.results(number):
            interference = Interference(technique) if result == "bad" else None  # type: ignore[arg-type]
            found.append(probe.finding(
                VERDICTS[result], when, signed=False, interference=interference, measurement=measurement,  # type: ignore[arg-type]
                target=Target(target, "", target, 0, "octenium"),
            ))  # fmt: skip
    return found


def give(desk: Desk, some: list[Finding], size: int = 50) -> None:
    for start in range(0, len(some), size):
        desk.give(*some[start : start + size], received_at=END)


def told(desk: Desk) -> list[Incident]:
    return [row.incident for row in desk.reader.incidents(100)]


def test_incidents_follow_from_findings(desk: Desk, probes: Probes) -> None:
    give(desk, findings(probes))
    (row,) = desk.reader.incidents(10)
    one = row.incident
    assert (row.operator, row.group) == ("Fawri", "octenium")
    assert (one.series.country, one.series.operator, one.series.technique) == ("DZ", "AS36947", "ip_blackhole")
    assert one.began.after < at(CUT[0]) <= one.began.until
    assert one.ended is not None
    assert one.ended.after < at(CUT[1]) <= one.ended.until
    assert (one.homes, one.heard) == (3, 3)
    assert desk.reader.incident(row.id) == row
    assert desk.reader.incident("0" * 16) is None
    assert desk.reader.incidents(10, open_only=True) == []
    assert desk.reader.incidents(10, after=row.change) == []


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_order_and_the_repetitions(desks: Callable[..., Desk], probes: Probes, seed: int) -> None:
    in_order, mixed = desks("a"), desks("b")
    some = findings(probes, liars=1, homes=6)
    give(in_order, sorted(some, key=lambda f: f.started_at))
    random = Random(seed)
    give(mixed, random.sample([*some, *random.sample(some, 40)], len(some) + 40), random.randrange(1, 200))
    assert told(mixed) == told(in_order)
    assert len(told(mixed)) == 1


def test_a_line_that_was_cut_delivers_late_and_the_address_of_the_incident_stays(desk: Desk, probes: Probes) -> None:
    some = sorted(findings(probes), key=lambda f: f.started_at)
    middle = [f for f in some if "2026-01-05T20" < f.started_at < "2026-01-06T20" or f.started_at > "2026-01-12"]
    give(desk, [f for f in some if f.started_at < "2026-01-05T12"] + middle)
    (early,) = desk.reader.incidents(10)
    give(desk, some)
    (late,) = desk.reader.incidents(10)
    assert late.id == early.id
    assert late.change > early.change
    assert late.incident != early.incident


def test_while_it_lasts_it_is_open_and_comes_first(desk: Desk, probes: Probes) -> None:
    give(desk, [f for f in findings(probes) if f.started_at < "2026-01-07"])
    give(desk, findings(probes, target="196.20.66.11", prefix="other"))
    assert [row.incident.state for row in desk.reader.incidents(10)] == ["open", "closed"]
    assert [row.incident.state for row in desk.reader.incidents(10, open_only=True)] == ["open"]


def test_an_outage_opens_none(desks: Callable[..., Desk], probes: Probes) -> None:
    def outage(now: int) -> Result:
        return "down" if cut(CUT)(now) == "bad" else "good"

    here, everywhere, told_down = desks("here"), desks("everywhere"), desks("down")
    abroad = findings(probes, line=TUNISIA, prefix="abroad", homes=2)
    give(here, findings(probes) + findings(probes, lambda _: "good", line=TUNISIA, prefix="abroad", homes=2))
    give(everywhere, findings(probes) + abroad)
    give(told_down, findings(probes, outage, homes=2) + findings(probes, homes=2, prefix="mistaken"))
    assert len(told(here)) == 1
    assert told(everywhere) == []
    assert told(told_down) == []


@pytest.mark.parametrize("seed", range(3))
def test_what_is_found_outside_tells_whenever_it_comes(desks: Callable[..., Desk], probes: Probes, seed: int) -> None:
    random, here = Random(seed), findings(probes, homes=2)
    fails, works = desks("fails"), desks("works")
    give(fails, random.sample(both := here + findings(probes, line=TUNISIA, prefix="abroad", homes=2), len(both)))
    give(works, random.sample(both := here + findings(probes, lambda _: "good", line=TUNISIA, homes=1), len(both)))
    assert told(fails) == []
    assert len(told(works)) == 1


def test_the_control_vantage_is_no_home_and_tells_an_outage(desks: Callable[..., Desk], probes: Probes) -> None:
    seen = findings(probes, homes=2) + findings(probes, prefix="control", homes=1)
    desk = desks("control", control={"control0"})
    give(desk, seen)
    assert told(desk) == []
    desk = desks("well", control={"control0"})
    give(desk, findings(probes, homes=2) + findings(probes, lambda _: "good", prefix="control", homes=1))
    (one,) = told(desk)
    assert one.heard == 2


def test_what_was_an_incident_may_turn_out_to_be_none(desk: Desk, probes: Probes) -> None:
    give(desk, findings(probes, homes=2))
    assert len(told(desk)) == 1
    give(desk, findings(probes, lambda _: "good", prefix="late", homes=9))
    assert told(desk) == []


def test_another_technique_says_nothing(desk: Desk, probes: Probes) -> None:
    give(desk, findings(probes) + findings(probes, technique="icmp_reject", prefix="other"))
    assert sorted(one.series.technique for one in told(desk)) == ["icmp_reject", "ip_blackhole"]


def test_where_nothing_happens_nothing_is_computed(desk: Desk, probes: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(rollup, "Follow", never)
    give(desk, findings(probes, lambda _: "good"))
    assert told(desk) == []


def test_an_interference_without_a_technique_is_counted_and_accuses_nobody(desk: Desk, probes: Probes) -> None:
    give(desk, [msgspec.structs.replace(f, interference=None) for f in findings(probes)])
    assert told(desk) == []


def test_what_is_put_off_is_told_with_the_last_batch(
    desks: Callable[..., Desk], probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "SHARE", 1e-9)
    some = sorted(findings(probes), key=lambda f: f.started_at)
    prompt, hurried = desks("prompt"), desks("hurried")
    give(prompt, some)
    keyring = Keyring({}, {})
    for start in range(0, len(some), 20):
        batch = []
        for finding in some[start : start + 20]:
            topic, payload = feed.finding(finding.probe.id, finding.measurement), msgspec.json.encode(finding)
            batch.append(Judged(topic, payload, END, judge_message(topic, payload, END, keyring)))
        hurried.store.commit(batch, more=True)
    with closing(sqlite3.connect(hurried.path)) as db:
        waiting = db.execute("SELECT count(*) FROM due").fetchone()
    hurried.store.commit([])
    assert waiting == (1,), "told once, and then put off"
    assert told(hurried) == told(prompt)
    with closing(sqlite3.connect(hurried.path)) as db:
        assert db.execute("SELECT count(*) FROM due").fetchone() == (0,)


def test_what_was_put_off_is_told_after_a_restart(desk: Desk, desks: Callable[..., Desk], probes: Probes) -> None:
    give(desk, findings(probes))
    expected = told(desk)
    with closing(sqlite3.connect(desk.path)) as db, db:
        db.execute("DELETE FROM incidents")
        db.execute("INSERT INTO due SELECT series, what FROM techniques")
    again = desks(desk.path)
    again.give(probes("other").finding())
    assert told(again) == expected


def test_series_that_are_not_followed_are_read_whole(
    desks: Callable[..., Desk], probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = findings(probes) + findings(probes, target="196.20.66.11", prefix="other")
    followed, read = desks("followed"), desks("read")
    give(followed, some)
    monkeypatch.setattr(rollup, "FOLLOWED", 0)
    give(read, some)
    assert sorted(told(read), key=lambda one: one.series) == sorted(told(followed), key=lambda one: one.series)
    assert len(told(read)) == 2
