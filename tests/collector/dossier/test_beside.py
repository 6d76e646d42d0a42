"""What a single home measured of its operator is not in a dossier of another."""

from __future__ import annotations

import msgspec

from probe.collector.dossier.beside import Beside
from probe.collector.dossier.contents import contents
from probe.collector.dossier.cover import cover
from probe.collector.dossier.facts import Facts, facts
from probe.collector.dossier.make import make
from probe.collector.dossier.pack import unpack
from probe.collector.incidents.model import HOUR
from probe.model.finding import Line
from tests.collector.conftest import Desk, FakeProbe
from tests.collector.dossier.conftest import KEY, NOW, START

LONE = Line("Lone Net", 64999, "MA", "mobile")


def told(desk: Desk, incident: str, *consents: str) -> Facts:
    row = desk.reader.incident(incident)
    assert row is not None
    some = contents(desk.reader, row, NOW, consents, file="x.zip", cover="c.pdf")
    return facts(desk.reader, row, some.findings, some.captured, NOW, consents)


def lone(desk: Desk, name: str = "lone") -> None:
    probe = FakeProbe(name, LONE)
    desk.give(*[probe.finding("clean", START + hour * HOUR) for hour in range(0, 72, 6)], received_at=NOW)


def test_neither_its_name_nor_its_results(desk: Desk, incident: str) -> None:
    lone(desk)
    found = told(desk, incident)
    page = cover(found, "journalist", "en", NOW, file="x", key="k")
    for text in (page, msgspec.json.encode(found.told and found.told.case).decode()):
        assert "Lone" not in text
        assert "64999" not in text
    assert [lane.operator for lane in found.lanes] == ["Atlas Telecom"]
    assert "Operators that are not shown, since fewer than 2 homes measured them" in page
    assert [one.number for one in found.doubts if one.name == "hidden"] == [1]


def test_it_is_told_if_the_owner_agreed_or_there_are_two(desk: Desk, incident: str) -> None:
    lone(desk)
    assert [other.operator for other in told(desk, incident, "lone").others] == ["Lone Net"]
    lone(desk, "second")
    found = told(desk, incident)
    assert [other.operator for other in found.others] == ["Lone Net"]
    assert not [one for one in found.doubts if one.name == "hidden"]


def test_files_do_not_tell_either(desk: Desk, incident: str) -> None:
    lone(desk)
    for consents, tells in (((), False), (("lone",), True)):
        files = unpack(make(desk.reader, incident, KEY, NOW, "x.zip", consents=consents).data, "x.zip")
        assert (b"64999" in files["case.json"]) is tells
        assert (b"64999" in files["case.txt"]) is tells
        assert b"Lone" not in files["findings.jsonl"]


def test_the_incidents_own_operator_is_always_named(desk: Desk, incident: str) -> None:
    row = desk.reader.incident(incident)
    assert row is not None
    series = row.incident.series
    # Long after, when nobody measures there any more.
    assert (series.country, series.operator) in Beside(desk.reader, row, (), NOW + 10**12).operators()
