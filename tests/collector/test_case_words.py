"""What operators and targets are called in a case. (The sentences: test_case_views.py, beside what they belong to.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from probe.collector.case_words import Names
from probe.model.finding import Line, Target
from tests.collector.test_case_views import COMPANY

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe


def test_names_are_the_newest_and_those_of_the_incidents_first(
    desk: Desk, probes: Callable[..., FakeProbe]
) -> None:
    old = probes("p-1", Line("oran telecom", 64502, "DZ", "fixed"))
    new = probes("p-2", Line("Oran Telecom", 64502, "DZ", "mobile"))
    first = old.finding(target=Target("203.0.113.10", "www.example"))
    later = new.finding(at=1_772_400_000_000, target=Target("203.0.113.10", "octenium.example"))
    desk.give(first, later, received_at=1_772_400_000_000)
    names = Names.of(desk.reader.cells())
    assert names.operators == {"AS64502": "Oran Telecom"}
    assert names.targets == {"203.0.113.10": "octenium.example"}
    assert Names.of(desk.reader.cells(), COMPANY).operators == names.operators, "rows without a name say nothing"
