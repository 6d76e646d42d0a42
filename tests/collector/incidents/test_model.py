"""Incidents travel as JSON and come back the same."""

from __future__ import annotations

import msgspec

from probe.collector.incidents.model import Incident
from probe.collector.incidents.timeline import incidents
from tests.collector.incidents.stories import SERIES, Story, at, cut


def test_an_incident_survives_json() -> None:
    story = Story(cut(("2020-01-10", "2020-01-20")), at("2020-01-01"), at("2020-02-01"), homes=3)
    (one,) = incidents(SERIES, story.sights(), now=story.end)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Incident) == one
    assert sorted([one.series, SERIES]) == [SERIES, SERIES]
