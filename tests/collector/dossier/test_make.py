"""A whole dossier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.collector.dossier.check import check
from probe.collector.dossier.make import make
from probe.collector.dossier.pack import unpack
from probe.model.errors import UsageError
from tests.collector.dossier.conftest import KEY, NOW

if TYPE_CHECKING:
    from tests.collector.conftest import Desk


def test_it_is_true_to_itself_and_the_same_each_time(desk: Desk, incident: str) -> None:
    made = make(desk.reader, incident, KEY, NOW, "x.zip")
    assert made.notes == []
    found = check(unpack(made.data, "x.zip"), "x.zip")
    assert (found.incident, found.findings, found.captures, found.wrong) == (incident, 24, 8, [])
    assert (found.judged, found.stamped, found.notes) == (0, None, [])
    assert make(desk.reader, incident, KEY, NOW, "x.zip") == made


def test_an_unknown_incident(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no incident 0123"):
        make(desk.reader, "0123", KEY, NOW, "x.zip")
