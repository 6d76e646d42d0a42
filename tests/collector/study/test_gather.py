"""What a study needs, from a store."""

from __future__ import annotations

import pytest

from probe.collector.study.figures import Figures
from probe.collector.study.gather import countries, gather
from probe.model.errors import UsageError
from tests.collector.conftest import Desk
from tests.collector.study.conftest import NOW


def february(desk: Desk, *consents: str) -> Figures:
    return gather(desk.reader, "2026-02", "MA", NOW, consents)


def test_operators_side_by_side(filled: Desk) -> None:
    found = february(filled)
    atlas, rif = found.operators
    assert (atlas.key, atlas.name) == ("AS64501", "Atlas Telecom")
    assert (atlas.homes, atlas.targets, atlas.cut_targets) == (3, 2, 1)
    # Three homes, two targets, and one target was cut for each.
    assert (atlas.pairs, atlas.cut) == (6, 3)
    assert 0.1 < atlas.low < 0.5 < atlas.high < 0.9
    # 25 days of three measurements of two targets in three homes; ten days of them bad.
    assert (atlas.made, atlas.bad, atlas.down, atlas.unsure) == (450, 90, 0, 0)
    assert atlas.incidents == 1
    assert atlas.silent == 3  # the 26th to the 28th
    assert (rif.key, rif.cut, rif.bad, rif.incidents) == ("AS64503", 0, 0, 0)
    assert rif.low == 0
    assert found.probes == 5


def test_what_a_single_home_measured_is_nowhere(filled: Desk) -> None:
    found = february(filled)
    assert found.hidden == 1
    told = repr(found)
    assert "64504" not in told
    assert "Lone" not in told


def test_unless_its_owner_agreed(filled: Desk) -> None:
    found = february(filled, "64504-0")
    assert found.hidden == 0
    assert {one.key for one in found.operators} == {"AS64501", "AS64503", "AS64504"}


def test_techniques_incidents_and_the_trend(filled: Desk) -> None:
    found = february(filled)
    (one,) = found.techniques
    assert (one.operator, one.technique, one.measurement, one.results, one.targets) == (
        "AS64501", "dns_injection", "dns_injection", 90, 1,
    )  # fmt: skip
    (row,) = found.incidents
    assert row.operator == "Atlas Telecom"
    assert [(m.month, m.operator, m.pairs, m.cut, m.share) for m in found.trend if m.operator == "AS64501"] == [
        ("2026-01", "AS64501", 6, 0, 0.0), ("2026-02", "AS64501", 6, 3, 0.5),
    ]  # fmt: skip


def test_an_incident_of_another_month_is_not_of_this_one(filled: Desk) -> None:
    found = gather(filled.reader, "2026-01", "MA", NOW)
    assert found.incidents == []
    assert [one.cut for one in found.operators] == [0, 0]


def test_countries_and_months_of_which_nothing_is_known(filled: Desk) -> None:
    assert countries(filled.reader, "2026-02") == ["FR", "MA"]
    assert countries(filled.reader, "2025-02") == []
    for month, country, said in (
        ("2026-02", "DZ", "nothing was measured in DZ in 2026-02"), ("2027-01", "MA", "2027-01 has not begun"),
        ("nonsense", "MA", "is no month"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            gather(filled.reader, month, country, NOW)
