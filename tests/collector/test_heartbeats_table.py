"""Heartbeats in the store: idempotent, in any order, and what they prove of the silence of an incident."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import heartbeats_table, instants
from probe.collector.heartbeats import Silence
from probe.model import canonical, feed
from probe.model.heartbeat import Heartbeat
from tests.collector.incidents.stories import at
from tests.collector.test_rollup import ALGERIA, findings, give
from tests.model.test_heartbeat import SAMPLE

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

HOUR, MINUTE, DAY = instants.HOUR, instants.MINUTE, instants.DAY
Probes = Callable[..., "FakeProbe"]
Message = tuple[str, bytes]


def beat(probe: FakeProbe, when: int, **changes: Any) -> Message:
    """A heartbeat of an instant, and where it is published."""
    number = f"{when:012x}{probe.random.getrandbits(72):018x}"
    one = msgspec.structs.replace(
        msgspec.convert(SAMPLE, Heartbeat), probe=probe.name, at=instants.to_text(when),
        id=f"{number[:8]}-{number[8:12]}-7{number[13:16]}-8{number[17:20]}-{number[18:30]}", **changes,
    )  # fmt: skip
    return feed.heartbeat(probe.name), msgspec.json.encode(canonical.sign(one, probe.key))


def rows(desk: Desk) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(desk.path)) as db:
        return db.execute("SELECT * FROM life ORDER BY probe, hour").fetchall()


def test_stored_counted_and_answered(desk: Desk, probes: Probes) -> None:
    message = beat(probes(), at("2026-01-05T10:07"))
    (outcome,) = desk.give(message, received_at=at("2026-01-05T10:08"))
    assert (outcome.kind, outcome.answer) == ("stored", True)
    assert outcome.finding_id == msgspec.json.decode(message[1])["id"]
    assert desk.reader.counters()["heartbeats"] == 1
    ((probe, hour, alive, prompt, busy, linked, _, _),) = rows(desk)
    assert (probe, hour, alive, prompt, busy, linked) == ("p-one", at("2026-01-05T10:00"), 2, 2, 2, 2)


def test_what_nobody_can_date_proves_nothing_and_is_answered(desk: Desk, probes: Probes) -> None:
    message = beat(probes(), at("2026-01-05T10:07"), clock="unsynchronised")
    (outcome,) = desk.give(message, received_at=at("2026-01-07"))
    assert outcome.answer
    assert desk.reader.counters()["heartbeats_undated"] == 1
    assert rows(desk) == []


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_order_and_the_repetitions(desks: Callable[..., Desk], probes: Probes, seed: int) -> None:
    random, start = Random(seed), at("2026-01-05")
    one, other = probes("p-one"), probes("p-two")
    beats = [beat(p, start + n * 20 * MINUTE, measured=n % 3) for n in range(30) for p in (one, other)]
    first, mixed = desks("first"), desks("mixed")
    first.give(*beats, received_at=start + DAY)
    shuffled = random.sample([*beats, *random.sample(beats, 20)], 80)
    for begin in range(0, 80, 7):
        mixed.give(*shuffled[begin : begin + 7], received_at=start + DAY)
    assert rows(first) == rows(mixed)
    assert len(rows(first)) == 20


def test_the_signed_ones_can_be_shown_until_they_are_old(desk: Desk, probes: Probes) -> None:
    start, probe = at("2026-01-05"), probes()
    sent = [beat(probe, start + n * 30 * MINUTE) for n in range(4)]
    desk.give(*sent, received_at=start + 2 * HOUR)
    kept = desk.reader.heartbeats("p-one", start, start + DAY)
    assert kept == [sent[0][1], sent[2][1]], "the first of each hour"
    assert all(canonical.verify(msgspec.json.decode(body)) for body in kept)
    later = start + heartbeats_table.BODIES + DAY
    desk.store._now = lambda: later
    desk.give(beat(probes("p-two"), later), received_at=later)
    assert desk.reader.heartbeats("p-one", start, start + DAY) == [], "whoever speaks"
    assert desk.reader.heartbeats("p-two", start, later) != []
    assert len(rows(desk)) == 3, "what they proved stays"


def test_hours_are_kept_as_long_as_is_said_and_go_a_few_at_a_time(desk: Desk, probes: Probes) -> None:
    start = at("2026-01-05")
    for name in ("p-one", "p-two"):
        desk.give(*(beat(probes(name), start + n * HOUR) for n in range(10)), received_at=start + DAY)
    with closing(sqlite3.connect(desk.path)) as db:
        assert heartbeats_table.sweep(db, start + 106 * DAY, 106 * DAY - 6 * HOUR, 9)
        assert heartbeats_table.sweep(db, start + 106 * DAY, 106 * DAY - 6 * HOUR, 5), "signed ones"
        assert not heartbeats_table.sweep(db, start + 106 * DAY, 106 * DAY - 6 * HOUR, 9)
        left = db.execute("SELECT probe, (hour - ?) / ?, body FROM life ORDER BY 1, 2", (start, HOUR)).fetchall()
        assert left == [(name, n, "") for name in ("p-one", "p-two") for n in range(6, 10)]
        assert not heartbeats_table.sweep(db, start + 1000 * DAY, None, 9)
        assert len(db.execute("SELECT * FROM life").fetchall()) == 8, "for ever"


def test_a_silence_is_proven(desk: Desk, probes: Probes) -> None:
    """Three homes; from noon on the sixth nothing comes for a day: first idle, then cut off, then nothing at all."""
    quiet = at("2026-01-06T12:00"), at("2026-01-07T12:00")
    some = [f for f in findings(probes) if not quiet[0] <= instants.from_text(f.started_at) < quiet[1]]
    give(desk, some)
    home = probes("home0", ALGERIA)
    for hour in range(24):
        when = quiet[0] + hour * HOUR + 10 * MINUTE
        if hour < 8:
            desk.give(beat(home, when, measured=0), received_at=when)
        elif hour < 18:
            desk.give(beat(home, when, measured=0, connected=False), received_at=quiet[1] + DAY)
    (row,) = desk.reader.incidents(10)
    (told,) = desk.reader.silence(row.incident)
    assert (told.since, told.until) == row.incident.silent[0]
    whole = (told.until - told.since) // HOUR
    assert whole >= 24
    assert (told.idle, told.cut_off) == (8, 10)
    assert told.dead == whole - 18


def test_a_stranger_s_heartbeats_prove_nothing_here(desk: Desk, probes: Probes) -> None:
    quiet = at("2026-01-06T12:00"), at("2026-01-07T12:00")
    give(desk, [f for f in findings(probes) if not quiet[0] <= instants.from_text(f.started_at) < quiet[1]])
    desk.give(beat(probes("elsewhere"), quiet[0] + 3 * HOUR), received_at=quiet[0] + 3 * HOUR)
    (row,) = desk.reader.incidents(10)
    (told,) = desk.reader.silence(row.incident)
    assert isinstance(told, Silence)
    assert (told.idle, told.cut_off) == (0, 0)
    quietless = msgspec.structs.replace(row.incident, silent=())
    assert desk.reader.silence(quietless) == ()
