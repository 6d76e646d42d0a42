"""Searching the embedded store, held against the same search in plain Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import instants, schema, sqlite_search
from probe.collector.cells import cell_key
from probe.collector.public import Operator
from probe.collector.search import Place, Search
from probe.model.finding import Finding, Line, Target, Verdict

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

Probes = Callable[..., "FakeProbe"]
NOON = instants.from_text("2026-03-01T12:00:00.000Z")
ATLAS = Line("Atlas Telecom", 64501, "MA", "fixed")
SAHARA = Line("Sahara", 0, "DZ", "mobile")
EVERYBODY = frozenset({("MA", "AS64501"), ("DZ", "sahara")})


@pytest.fixture
def findings(desk: Desk, probes: Probes) -> list[Finding]:
    """Two operators, two targets, all verdicts; several findings share their millisecond."""
    random = Random(3)
    made = []
    verdicts: tuple[Verdict, ...] = ("clean", "interfered", "down", "inconclusive")
    for number in range(60):
        probe = probes(f"p-{number % 5}", ATLAS if number % 5 < 3 else SAHARA, seed=number)
        name = random.choice(["news.example", "chat.example"])
        made.append(
            probe.finding(
                random.choice(verdicts), NOON + random.randrange(20), signed=False,
                measurement=random.choice(["dns_injection", "voip"]), target=Target(f"https://{name}/", name),
            )
        )  # fmt: skip
    desk.give(*made)
    return made


def plainly(findings: list[Finding], search: Search) -> list[str]:
    """The ids that are due."""
    due = []
    for f in findings:
        at = instants.from_text(f.started_at)
        operator: Operator = (f.line.country, f"AS{f.line.asn}" if f.line.asn else f.line.operator.casefold())
        if (
            operator in search.operators
            and search.target in ("", f.target.input, f.target.name)
            and search.measurement in ("", f.measurement)
            and search.verdict in (None, f.verdict)
            and (search.since is None or at >= search.since)
            and (search.until is None or at < search.until)
            and (search.after is None or (at, f.id) < (search.after.time, search.after.id))
        ):
            due.append((at, f.id))
    return [finding_id for _, finding_id in sorted(due, reverse=True)]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"operators": frozenset({("DZ", "sahara")})},
        {"operators": frozenset()},
        {"operators": frozenset({("MA", "sahara")})},
        {"target": "news.example"},
        {"target": "https://chat.example/"},
        {"target": "chat.example' OR 1=1 --"},
        {"measurement": "voip", "verdict": "interfered"},
        {"since": NOON + 5, "until": NOON + 15},
        {"since": NOON + 5, "until": NOON + 5},
        {"after": Place(NOON + 10, "0195ffff")},
        {"after": Place(NOON + 10, "0195"), "target": "news.example", "verdict": "clean"},
    ],
)
def test_it_finds_what_plain_python_finds(desk: Desk, findings: list[Finding], wanted: dict[str, Any]) -> None:
    search = Search(**{"operators": EVERYBODY, "limit": 1000, **wanted})
    assert [row.id for row in desk.reader.search(search)] == plainly(findings, search)


def test_pages_follow_each_other_without_gap_or_overlap(desk: Desk, findings: list[Finding]) -> None:
    search, seen = Search(operators=EVERYBODY, limit=7), list[str]()
    while rows := desk.reader.search(search):
        seen += [row.id for row in rows]
        last = rows[-1]
        search = msgspec.structs.replace(search, after=Place(last.at or last.received_at, last.id))
    assert seen == plainly(findings, Search(operators=EVERYBODY))


def test_an_undated_finding_counts_by_when_it_came(desk: Desk, probes: Probes) -> None:
    dated = probes().finding(at=NOON)
    undated = probes(seed=1).finding(at=NOON - instants.DAY, clock="unsynchronised")
    desk.give(dated, undated, received_at=NOON + 5)
    rows = desk.reader.search(Search(operators=EVERYBODY, since=NOON + 1))
    assert [(row.id, row.at) for row in rows] == [(undated.id, None)]


def test_the_crowd_is_who_measured_since(desk: Desk, probes: Probes) -> None:
    desk.give(probes("p-old").finding(at=NOON - 10), probes("p-new", SAHARA).finding(at=NOON))
    assert {probe for _, probe in desk.reader.crowd(0)} == {"p-old", "p-new"}
    assert desk.reader.crowd(NOON) == [(SAHARA, "p-new")]


def test_the_crowd_is_the_same_in_whatever_order_it_measured(desk: Desk, probes: Probes) -> None:
    probe, renamed = probes("p-one"), Line("Atlas", 64501, "MA", "fixed")
    new = probe.finding(at=NOON, line=renamed, target=Target("new.example"))
    old = probe.finding(at=NOON - 10, target=Target("old.example"))
    desk.give(new)
    desk.give(old)
    desk.give(probe.finding(at=NOON - 5))
    assert desk.reader.crowd(NOON) == [(renamed, "p-one")]


def test_an_older_database_gets_its_crowd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desks: Callable[..., Desk], desk: Desk, probes: Probes
) -> None:
    desk.give(probes("p-one").finding(at=NOON), probes("p-two", SAHARA).finding(at=NOON - 5))
    known = desk.reader.crowd(0)
    assert len(known) == 2
    before = next(n for n, script in enumerate(schema.MIGRATIONS) if "CREATE TABLE crowd" in script)
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:before])
    with closing(schema.open_writer(str(tmp_path / "older"))) as db:
        db.execute("ATTACH ? AS new", (desk.path,))
        db.execute("INSERT INTO cells SELECT * FROM new.cells")
        db.execute("INSERT INTO standings SELECT * FROM new.standings")
    monkeypatch.undo()
    assert desks("older").reader.crowd(0) == known


def test_cells_by_name(desk: Desk, findings: list[Finding]) -> None:
    keys = sorted({cell_key(f) for f in findings})
    assert sorted(cell.key for cell in desk.reader.cells_named([*keys[:3], "none", "' OR 1=1 --"])) == keys[:3]
    assert desk.reader.cells_named([]) == []


@pytest.mark.parametrize(
    ("wanted", "is_few", "index"),
    [
        ({}, False, "findings_by_time"),
        ({"verdict": "clean", "since": NOON}, False, "findings_by_time"),
        ({"verdict": "interfered", "after": Place(NOON, "0195")}, False, "findings_remarkable"),
        ({"target": "news.example", "measurement": "voip"}, True, "findings_by_cell"),
    ],
)
def test_the_newest_page_is_all_that_is_read(
    desk: Desk, findings: list[Finding], wanted: dict[str, Any], is_few: bool, index: str
) -> None:
    """Nothing is sorted where many cells are meant, or the first page would cost as much as all."""
    query, arguments = sqlite_search.statement(Search(operators=EVERYBODY, **wanted), is_few)
    with closing(sqlite3.connect(desk.path)) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", arguments)]
    assert any(f"f USING INDEX {index}" in step for step in plan), plan
    assert any("l USING" in step or "f USING INDEX sqlite_autoindex_findings_1 (id=?)" in step for step in plan), plan
    inner = plan[: next(n for n, step in enumerate(plan) if "autoindex_findings_1" in step)]
    assert ("USE TEMP B-TREE FOR ORDER BY" in inner) is is_few


@pytest.mark.parametrize("is_few", [True, False])
@pytest.mark.parametrize("verdict", [None, "clean", "interfered"])
def test_whichever_way_is_taken_the_same_is_found(
    desk: Desk, findings: list[Finding], is_few: bool, verdict: Verdict | None
) -> None:
    search = Search(operators=EVERYBODY, verdict=verdict, target="chat.example", limit=1000)
    query, arguments = sqlite_search.statement(search, is_few)
    with closing(sqlite3.connect(desk.path)) as db:
        assert [row[0] for row in db.execute(query, arguments)] == plainly(findings, search)


@pytest.mark.parametrize(("share", "is_few"), [(1, False), (50, True)])
def test_few_are_one_in_fifty(desk: Desk, probes: Probes, share: int, is_few: bool) -> None:
    probe = probes()
    desk.give(*(probe.finding(signed=False, target=Target(f"{number}.example")) for number in range(50)))
    search = Search(operators=EVERYBODY, target="7.example" if share == 50 else "")
    query, arguments = sqlite_search.few(search)
    with closing(sqlite3.connect(desk.path)) as db:
        assert db.execute(query, arguments).fetchall() == [(is_few,)]


def test_a_target_is_found_by_every_name_that_it_had(desk: Desk, probes: Probes) -> None:
    probe = probes()
    old = probe.finding(at=NOON, target=Target("192.0.2.1", "old.example"))
    new = probe.finding(at=NOON + 1, target=Target("192.0.2.1", "new.example"))
    desk.give(old)
    desk.give(new)
    for name in ("192.0.2.1", "old.example", "new.example"):
        assert [row.id for row in desk.reader.search(Search(operators=EVERYBODY, target=name))] == [new.id, old.id]
    assert desk.reader.search(Search(operators=EVERYBODY, target="other.example")) == []
