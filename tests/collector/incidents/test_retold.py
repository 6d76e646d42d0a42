"""Rows of a roll-up told as incidents, and held against those that are known."""

from __future__ import annotations

import msgspec

from probe.collector.incidents.model import HOUR, Bounds, Incident, Series, Sight
from probe.collector.incidents.retold import OPEN_END, end, failing_hours, first_hours, reconcile, sights

SERIES = Series("DZ", "AS36947", "fixed", "blackhole", "196.20.66.10", "ip_blackhole")


def incident(since: int, until: int | None, *, homes: int = 3) -> Incident:
    return Incident(
        series=SERIES, state="open" if until is None else "closed", began=Bounds(since - 1, since),
        ended=None if until is None else Bounds(until, until + 1), homes=homes, heard=3, dissent=(), share=1.0,
        hours=((0, 0),) * 24, intermittent=False, exemptions=(), silent=(), sure=0.5,
    )  # fmt: skip


def test_rows_of_an_hour_become_one_sight() -> None:
    rows = [
        (HOUR, "p-one", "clean", 2, HOUR + 1, HOUR + 2), (HOUR, "p-one", "ip_blackhole", 3, HOUR + 3, HOUR + 4),
        (HOUR, "p-one", "down", 1, HOUR + 5, HOUR + 5), (HOUR, "p-control", "clean", 1, HOUR, HOUR),
    ]  # fmt: skip
    assert sights(rows, {"p-control"}) == [Sight("p-one", HOUR, 2, 3, 1, HOUR + 1, HOUR + 2, HOUR + 3, HOUR + 4)]


def test_what_fails_outside_as_well_fails_for_everybody() -> None:
    here = [("DZ", HOUR, "p-one", 2), ("DZ", HOUR, "p-two", 2)]
    assert failing_hours(here, "DZ", (), {}) == frozenset()
    assert failing_hours([*here, ("TN", HOUR, "p-tn", 2)], "DZ", (), {}) == {HOUR}
    assert failing_hours([*here, ("TN", HOUR, "p-tn", 0)], "DZ", (), {}) == frozenset()
    assert failing_hours([*here, ("DZ", HOUR, "p-control", 1)], "DZ", {"p-control"}, {}) == {HOUR}


def test_a_crowd_in_one_home_makes_no_outage() -> None:
    here = [("DZ", HOUR, "p-one", 2), ("DZ", HOUR, "p-two", 2)]
    crowd = [("TN", HOUR, f"p-{n}", 2) for n in range(5)]
    others = [("TN", HOUR, "p-x", 0), ("TN", HOUR, "p-y", 0)]
    one_home = {f"p-{n}": "~one" for n in range(5)}
    assert failing_hours([*here, *crowd, *others], "DZ", (), {}) == {HOUR}
    assert failing_hours([*here, *crowd, *others], "DZ", (), one_home) == frozenset()


def test_the_word_of_a_home_is_the_worst_of_its_probes_in_an_hour() -> None:
    here, there = [("DZ", HOUR, "p-one", 2)], [("TN", HOUR, "p-a", 0), ("TN", HOUR, "p-b", 1)]
    for rows in (there, there[::-1]):
        assert failing_hours([*here, *rows], "DZ", (), {"p-a": "~h", "p-b": "~h"}) == {HOUR}


def test_probes_of_the_control_vantage_are_no_homes() -> None:
    rows = [("DZ", HOUR, "p-one", 2), ("DZ", HOUR, "p-c", 0), ("DZ", 2 * HOUR, "p-c", 0), ("TN", 3 * HOUR, "p-one", 0)]
    assert failing_hours(rows, "DZ", {"p-c"}, {"p-one": "~h", "p-c": "~h"}) == frozenset()
    assert first_hours(rows, {"p-c"}) == {"p-one": HOUR}


def test_an_incident_keeps_its_name_while_it_shares_time_with_what_was_known() -> None:
    ((name, first),), gone = reconcile({}, [incident(100, None)])
    assert (first, gone) == (incident(100, None), [])
    assert end(first) == OPEN_END
    longer = incident(50, 300)
    assert reconcile({name: first}, [longer]) == ([(name, longer)], [])
    assert reconcile({name: longer}, [longer]) == ([], [])


def test_what_was_none_is_struck_and_what_is_apart_is_another() -> None:
    ((one, early),), _ = reconcile({}, [incident(100, 200)])
    ((two, late),), _ = reconcile({}, [incident(500, 600)])
    assert one != two
    assert reconcile({one: early, two: late}, [incident(100, 600)]) == ([(one, incident(100, 600))], [two])
    assert reconcile({one: early}, []) == ([], [one])
    assert msgspec.json.decode(msgspec.json.encode(early), type=Incident) == early
