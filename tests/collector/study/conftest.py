"""A store with two months of a country: one operator that cuts, one that does not, one with a single home."""

from __future__ import annotations

import pytest

from probe.collector.incidents.model import HOUR
from probe.model.finding import Interference, Line, Target
from tests.collector.conftest import ATLAS, Desk, FakeProbe
from tests.collector.incidents.stories import at

RIF, LONE = Line("Rif", 64503, "MA", "mobile"), Line("=Lone()", 64504, "MA", "fixed")
ORANGE = Line("Orange", 3215, "FR", "fixed")
NOW = at("2026-03-10")
CUT = at("2026-02-10"), at("2026-02-20")


@pytest.fixture
def filled(desk: Desk) -> Desk:
    fill(desk)
    return desk


def fill(desk: Desk) -> None:
    """The two months."""
    for line, homes in ((ATLAS, 3), (RIF, 2), (LONE, 1), (ORANGE, 2)):
        for number in range(homes):
            probe = FakeProbe(f"{line.asn}-{number}", line)
            some = []
            for start in range(at("2026-01-20"), at("2026-02-26"), 8 * HOUR):
                when = start + number * 60_000
                bad = line.asn in (64501, 64504) and CUT[0] <= when < CUT[1]
                what = Interference("dns_injection", "on_path") if bad else None
                some.append(probe.finding("interfered" if bad else "clean", when, interference=what, signed=False))
                other = Target("octenium.example", "", "", 53, "octenium")
                some.append(probe.finding("clean", when + 1000, target=other, interference=None, signed=False))
            desk.give(*some, received_at=NOW)
