"""What else it could be, by the numbers of an incident."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.collector.dossier.excluded import Check, Doubt, Fared, checks, doubts
from probe.collector.incidents.model import HOUR, Bounds, Incident
from probe.model.finding import Finding, Hop, Interference, Location, Tally
from tests.collector.conftest import ATLAS, FakeProbe
from tests.collector.incidents.stories import SERIES

PROBE = FakeProbe("home", ATLAS)


def incident(**changes: Any) -> Incident:
    return Incident(**{
        "series": msgspec.structs.replace(SERIES, country="MA"), "state": "closed", "began": Bounds(HOUR, 2 * HOUR),
        "ended": Bounds(9 * HOUR, 10 * HOUR), "homes": 6, "heard": 7, "dissent": (), "share": 1.0,
        "hours": ((0, 0),) * 24, "intermittent": False, "exemptions": (), "silent": (), "sure": 0.5,
        "counted": "prefix", **changes,
    })  # fmt: skip


def bad(count: int = 3, *, clean_ttl: int = 4, asn: int = 64501, **changes: Any) -> list[Finding]:
    place = Location(clean_ttl, clean_ttl + 1, Hop("198.18.4.1", asn), Hop("198.18.5.1", 64502))
    what = Interference("ip_blackhole", "in_path", place)
    return [PROBE.finding("interfered", interference=what, **changes) for _ in range(count)]


def by_name(found: list[Check]) -> dict[str, Check]:
    return {one.name: one for one in found}


def test_everything_that_speaks_against_them_excludes_all() -> None:
    some = bad()
    found = checks(incident(), some, some, [Fared("MA", 9, 1, 0), Fared("FR", 8, 0, 0)], 3, 3)
    assert all(one.excluded for one in found)
    told = by_name(found)
    assert (told["server_down"].against, told["server_down"].made) == (17, 18)
    assert (told["geofence"].against, told["geofence"].made) == (9, 10)
    assert (told["bad_line"].against, told["bad_line"].made) == (18, 18)
    assert (told["chance"].against, told["chance"].made) == (9, 9)
    assert (told["one_home"].against, told["one_home"].made) == (6, 7)


@pytest.mark.parametrize(("name", "findings", "changes", "others", "beside"), [
    ("server_down", bad(), {}, [Fared("FR", 1, 0, 19), Fared("MA", 4, 0, 0)], (1, 1)),
    ("geofence", bad(), {}, [Fared("FR", 4, 0, 0)], (1, 1)),
    ("bad_line", bad(controls=Tally(6, 3)), {}, [Fared("MA", 4, 0, 0)], (1, 1)),
    ("chance", bad(2), {}, [Fared("MA", 4, 0, 0)], (1, 1)),
    ("one_home", bad(), {"homes": 1}, [Fared("MA", 4, 0, 0)], (1, 1)),
    ("home_router", bad(clean_ttl=0), {}, [Fared("MA", 4, 0, 0)], (1, 1)),
    ("far_network", bad(asn=64520), {}, [Fared("MA", 4, 0, 0)], (1, 1)),
    ("whole_line", bad(), {}, [Fared("MA", 4, 0, 0)], (1, 3)),
    ("clock", bad(clock="unsynchronised"), {}, [Fared("MA", 4, 0, 0)], (1, 1)),
    ("invented", bad(signed=False), {}, [Fared("MA", 4, 0, 0)], (1, 1)),
])  # fmt: skip
def test_numbers_that_do_not_suffice_leave_it_open(
    name: str, findings: list[Finding], changes: dict[str, Any], others: list[Fared],
    beside: tuple[int, int],
) -> None:  # fmt: skip
    found = checks(incident(**changes), findings, findings, others, *beside)
    assert [one.name for one in found if not one.excluded] == [name]


def test_a_whole_country_that_forges_is_no_server_that_is_down_but_one_that_drops_may_be() -> None:
    others = [Fared("MA", 3, 9, 0)]
    for technique, found in (("voip_media", (3, 3, True)), ("ip_blackhole", (3, 12, False))):
        series = msgspec.structs.replace(SERIES, country="MA", technique=technique)
        told = by_name(checks(incident(series=series), [], [], others, 0, 0))["server_down"]
        assert (told.against, told.made, told.excluded) == found


def test_what_nobody_measured_is_never_excluded() -> None:
    found = checks(incident(homes=0, heard=0), [], [], [], 0, 0)
    assert not any(one.excluded for one in found)
    assert all(one.made == 0 for one in found)


def names(found: list[Doubt]) -> set[str]:
    return {one.name for one in found}


def test_what_remains_uncertain_of_a_clear_case() -> None:
    some = bad()
    found = doubts(incident(), some, some, {one.id for one in some}, [Fared("MA", 3, 0, 0), Fared("FR", 2, 0, 0)])
    assert names(found) == {"who", "began"}
    assert next(one.span for one in found if one.name == "began") == HOUR


def test_what_remains_uncertain_of_a_poor_one() -> None:
    some = [*bad(2), PROBE.finding("interfered", interference=Interference("ip_blackhole"))]
    all_of_them = [*some, PROBE.finding("inconclusive"), PROBE.finding("clean")]
    one = incident(
        began=Bounds(0, 2 * HOUR), ended=None, heard=4, dissent=("a", "b"), counted="probe",
        silent=((0, 8 * HOUR), (20 * HOUR, 29 * HOUR)),
    )  # fmt: skip
    told = doubts(one, some, all_of_them, {some[0].id}, [Fared("MA", 0, 0, 0)])
    found = {doubt.name: doubt for doubt in told}
    assert found.keys() == {
        "who", "began_unknown", "going_on", "silence", "homes", "few", "dissent", "not_located", "inconclusive",
        "no_packets", "alone", "no_abroad",
    }  # fmt: skip
    assert found["silence"] == Doubt("silence", 2, span=17 * HOUR)
    assert found["dissent"] == Doubt("dissent", 2, 4)
    assert found["not_located"] == Doubt("not_located", 1, 3)
    assert found["inconclusive"] == Doubt("inconclusive", 1, 5)
    assert found["no_packets"] == Doubt("no_packets", 2, 3)


def test_an_end_that_nobody_saw() -> None:
    others = [Fared("MA", 1, 0, 0), Fared("FR", 0, 1, 0)]
    found = names(doubts(incident(ended=Bounds(9 * HOUR, 0)), [], [], (), others))
    assert "ended_unknown" in found
    assert not {"alone", "no_abroad"} & found
