"""The facts of an incident, from a store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probe.collector.dossier.contents import contents
from probe.collector.dossier.facts import Facts, facts
from probe.collector.incidents.model import HOUR
from probe.model.finding import Line, Target
from tests.collector.conftest import Desk, FakeProbe
from tests.collector.dossier.conftest import NOW, START

RIF, ORANGE = Line("Rif Mobile", 64503, "MA", "mobile"), Line("Orange", 3215, "FR", "fixed")
OTHER = Target("chat.example", "Chat", "", 53, "chat")


@pytest.fixture
def found(desk: Desk, incident: str, probes: Callable[..., FakeProbe]) -> Facts:
    """The incident of the other tests, with lines beside it on which it works, and a target that works on its line."""
    for number, line in enumerate((RIF, ORANGE)):
        probe = probes(f"other{number}", line)
        desk.give(*[probe.finding("clean", START + hour * HOUR) for hour in range(0, 72, 6)], received_at=NOW)
    for number in range(2):
        probe = probes(f"home{number}", seed=0)
        for _ in range(30):  # the ids of the findings that it made before
            probe.random.getrandbits(80)
        desk.give(*[probe.finding("clean", START + hour * HOUR + 90_000, target=OTHER) for hour in range(0, 72, 6)],
                  received_at=NOW)  # fmt: skip
    row = desk.reader.incident(incident)
    assert row is not None
    some = contents(desk.reader, row, NOW, file="x.zip", cover="cover-en.pdf")
    return facts(desk.reader, row, some.findings, some.captured, NOW, ["other0", "other1"])


def test_what_others_saw_meanwhile(found: Facts) -> None:
    # Between the first and the last bad result: four of each, at 0, 6, 12 and 18 o'clock.
    assert [(o.country, o.operator, o.access, o.good, o.bad, o.down, o.probes) for o in found.others] == [
        ("MA", "Rif Mobile", "mobile", 4, 0, 0, 1), ("FR", "Orange", "fixed", 4, 0, 0, 1),
    ]  # fmt: skip


def test_timelines_of_its_line_of_others_and_of_its_neighbours(found: Facts) -> None:
    told = [(lane.operator, lane.target, lane.own, {run[0] for run in lane.runs}) for lane in found.lanes]
    assert told == [
        ("Atlas Telecom", "", True, {"clean", "interfered"}), ("Rif Mobile", "", False, {"clean"}),
        ("Orange", "", False, {"clean"}), ("Atlas Telecom", "chat.example", False, {"clean"}),
    ]  # fmt: skip
    assert found.start == START
    assert found.end == START + 72 * HOUR
    # Three days in slots of two hours: every sixth hour was measured.
    slots = {(until - since) // HOUR for lane in found.lanes for _, since, until, _, _ in lane.runs}
    assert slots == {2}
    assert found.names.target("chat.example") == "Chat"


def test_where_how_often_and_by_which_rules(found: Facts) -> None:
    (place,) = found.places
    assert (place.location.clean_ttl, place.location.first_ttl, place.findings, place.probes) == (4, 5, 8, 2)
    assert found.verdicts == {"clean": 16, "interfered": 8}
    assert found.rules == {"dns_injection/answer-from-silent-address": 8}
    assert (found.probes, found.captures) == (2, 8)
    assert found.software == ("colibri 0.1.0, dns_injection 1",)


def test_the_numbers_that_exclude(found: Facts) -> None:
    told = {one.name: (one.against, one.made, one.excluded) for one in found.checks}
    assert told["server_down"] == (8, 8, True)
    assert told["geofence"] == (4, 4, True)
    assert told["whole_line"] == (1, 1, True)
    assert told["far_network"] == (8, 8, True)
    assert told["bad_line"] == (48, 48, True)
    assert {one.name for one in found.doubts} == {"who", "began", "homes", "few"}
