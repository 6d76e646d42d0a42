"""A week of simulated time: recordings moved in time, signed, and judged by the collector's own rules."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from probe.collector.casebook import cases
from probe.collector.incidents.cases import (
    Abroad,
    Alone,
    CallsNotChat,
    Case,
    Company,
    Countrywide,
    Intermittent,
    InTurn,
)
from probe.collector.instants import from_text
from probe.collector.sqlite_reader import SqliteReader
from probe.engine.record import unseal
from probe.engine.replay import replay
from probe.lab import week
from probe.lab.stories import ALGERIA, HOUR, MOROCCO, START, STORIES, Story
from probe.lab.week import moved, play
from tests.lab.recordings import golden, recordings, seldom


@pytest.mark.parametrize(("name", "place"), [("ip_blackhole", ALGERIA.tasks[0]), ("voip_media", MOROCCO.tasks[0])])
def test_what_is_moved_in_time_is_judged_the_same(name: str, place: object) -> None:
    task = next(task for story in STORIES.values() for task in story.tasks if task == place)
    before = golden(name, task)
    after = moved(before, START)
    again = replay(after.evidence)
    assert again.agrees
    assert again.judgement == replay(before.evidence).judgement
    records, log = unseal(after.evidence)
    times = [record.ns for record in records] + [e.began for batch in log.batches for e in batch if e.began]
    assert min(times) == START * 1_000_000
    old, _ = unseal(before.evidence)
    assert [a.ns - records[0].ns for a in records] == [b.ns - old[0].ns for b in old]
    assert from_text(after.finding.started_at) == START
    assert after.finding.evidence.pcapng_sha256 != before.finding.evidence.pcapng_sha256


def played(story: Story, tmp_path: Path) -> tuple[SqliteReader, Case]:
    play(story, recordings(story, lambda _: None), tmp_path / "x.sqlite3")
    reader = SqliteReader(str(tmp_path / "x.sqlite3"))
    (case,) = cases(reader, story.end)
    return reader, case


def test_algeria_is_one_company_on_one_operator(tmp_path: Path) -> None:
    reader, case = played(ALGERIA, tmp_path)
    try:
        assert (case.country, case.subject, case.calls) == ("DZ", "octenium", False)
        (part,) = case.parts
        assert (part.operator, part.targets, part.homes) == ("AS64502", ("192.0.2.10", "198.51.100.10"), 3)
        kinds = {type(trait) for trait in case.traits}
        assert {Company, Alone, Abroad} <= kinds
        assert part.ended is not None
        # Within one measuring period of what was done.
        assert abs(part.began.until - (START + 33 * HOUR)) <= ALGERIA.every
        assert abs(part.ended.after - (START + 129 * HOUR)) <= ALGERIA.every
        assert reader.rejects(10) == []
    finally:
        reader.close()


def test_morocco_is_calls_on_all_operators_mobile_first(tmp_path: Path) -> None:
    reader, case = played(MOROCCO, tmp_path)
    try:
        assert (case.country, case.subject, case.calls) == ("MA", "voip", True)
        assert {part.operator for part in case.parts} == {"AS64501", "AS64502", "AS64503"}
        assert case.parts[0].access == "mobile"
        kinds = {type(trait) for trait in case.traits}
        assert {Countrywide, CallsNotChat, Intermittent} <= kinds
        # No operator has lines of both kinds here, so nothing says that they came in turn.
        assert InTurn not in kinds
        assert reader.rejects(10) == []
    finally:
        reader.close()


def test_the_same_recordings_make_the_same_week(tmp_path: Path) -> None:
    story = seldom(ALGERIA)
    found = recordings(story, lambda _: None)
    told = []
    for name in ("a", "b"):
        play(story, found, tmp_path / name)
        reader = SqliteReader(str(tmp_path / name))
        told.append([(row.id, reader.evidence(row.id)) for row in reader.findings(5000)])
        reader.close()
    assert told[0] == told[1]
    captures = [packed for _, packed in told[0] if packed is not None]
    assert len(captures) > 20
    assert len({gzip.decompress(packed) for packed in captures}) == len(captures)


@pytest.mark.lab
@pytest.mark.long
def test_the_lab_records_what_the_story_says() -> None:
    found = week.record(ALGERIA, print)
    for key, recording in found.items():
        task = ALGERIA.tasks[key.task]
        assert recording.finding.verdict == ("interfered" if key.cut else "clean"), (key, task)
        assert replay(recording.evidence).agrees
