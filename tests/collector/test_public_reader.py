"""What only one home could have told is not there for the public, whatever it is asked by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import instants
from probe.collector.history import WHOLE
from probe.collector.incidents.model import HOUR
from probe.collector.public import LATELY
from probe.collector.public_reader import PublicReader
from probe.collector.search import Search
from probe.collector.store import Reader
from probe.model.finding import Finding, Line

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
RIF = Line("Rif Mobile", 64502, "MA", "mobile")

Probes = Callable[..., "FakeProbe"]
Capture = Callable[[Finding], tuple[str, bytes]]


def told(reader: Reader, finding: Finding, key: str) -> list[bool]:
    """Whether anything of a finding and its cell is to be had, one way after the other."""
    target = finding.target.input
    everyone = Search(operators=frozenset({("MA", "AS64501"), ("MA", "AS64502")}))
    return [
        key in {cell.key for cell in reader.cells()},
        reader.cell(key) is not None,
        reader.cells_named([key]) != [],
        finding.id in {row.id for row in reader.findings(100)},
        reader.findings(100, key) != [],
        finding.id in {row.id for row in reader.search(everyone)},
        reader.finding(finding.id) is not None,
        reader.evidence(finding.id) is not None,
        finding.line in [line for line, _ in reader.crowd(0)],
        finding.line.access in [look.access for look in reader.looks(0, 1 << 60)],
        finding.line.access in [row.access for row in reader.history([target], 0, 1 << 60, WHOLE)],
    ]


@pytest.mark.parametrize(("consents", "shown"), [([], False), (["p-rif"], True), (["p-one"], False)])
def test_an_operator_with_a_single_probe_is_shown_only_with_consent(
    desk: Desk, probes: Probes, evidence_of: Capture, consents: list[str], shown: bool
) -> None:
    alone, one = probes("p-rif", RIF).finding("interfered"), probes().finding("interfered")
    desk.give(alone, evidence_of(alone), one, evidence_of(one), probes("p-two").finding())
    keys = {cell.finding_id: cell.key for cell in desk.reader.cells()}
    reader = PublicReader(desk.reader, consents, lambda: NOON)
    assert set(told(reader, alone, keys[alone.id])) == {shown}
    assert set(told(reader, one, desk.reader.cells()[0].key)) >= {True}
    assert set(told(desk.reader, alone, keys[alone.id])) == {True}, "it is all there, behind"


def test_a_second_probe_brings_its_operator_to_light_at_once(desk: Desk, probes: Probes) -> None:
    desk.give(probes().finding())
    reader: Reader = PublicReader(desk.reader, [], lambda: NOON)
    assert reader.cells() == []
    desk.give(probes("p-two").finding())
    assert reader.cells() == desk.reader.cells() != []


def test_one_that_left_long_ago_is_no_company(desk: Desk, probes: Probes) -> None:
    desk.give(probes().finding())
    desk.give(probes("p-two").finding(at=NOON + LATELY // 2), received_at=NOON + LATELY // 2)
    now = [NOON + LATELY // 2]
    reader = PublicReader(desk.reader, [], lambda: now[0])
    assert reader.cells() != []
    now[0] = NOON + LATELY + 1
    assert reader.cells() == []


def test_an_incident_of_one_home_is_not_told(desk: Desk, probes: Probes) -> None:
    homes = [probes(f"p-{n}") for n in range(3)]
    for hour in range(0, 24, 2):
        at = NOON + hour * HOUR
        verdict = "interfered" if hour >= 8 else "clean"
        desk.give(*(home.finding(verdict, at) for home in homes), received_at=at)  # type: ignore[arg-type]
    (row,) = desk.reader.incidents(10)
    reader = PublicReader(desk.reader, [], lambda: NOON + instants.DAY)
    assert reader.incidents(10) == [row]
    assert reader.incidents(0) == []
    assert reader.incident(row.id) == row
    assert reader.incident("0") is None
    lonely = msgspec.structs.replace(row, incident=msgspec.structs.replace(row.incident, heard=1))
    only: Any = _Only(desk.reader, lonely)
    far = PublicReader(only, [], lambda: NOON + 100 * instants.DAY)
    assert far.incidents(10) == []
    assert far.incident(row.id) is None


class _Only:
    """A reader that has one incident, and the rest of another."""

    def __init__(self, reader: Reader, row: object) -> None:
        self._reader, self._row = reader, row

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def incidents(self, *_: object, **__: object) -> list[object]:
        return [self._row]

    def incident(self, _: str) -> object:
        return self._row


def test_what_is_counted_is_counted_whole(desk: Desk, probes: Probes) -> None:
    desk.give(probes().finding())
    reader = PublicReader(desk.reader, [], lambda: NOON)
    assert reader.counters() == desk.reader.counters()
    assert reader.probes() == desk.reader.probes()
    assert reader.rejects(5) == []
    reader.close()
