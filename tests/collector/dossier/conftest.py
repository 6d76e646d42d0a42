"""A dossier of a small incident, with signed findings and their captures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.collector.dossier.make import make
from probe.collector.dossier.pack import unpack
from probe.collector.incidents.model import HOUR
from probe.model.finding import Finding
from tests.collector.incidents.stories import at

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
START = at("2026-02-01")
NOW = START + 72 * HOUR


@pytest.fixture
def incident(
    desk: Desk, probes: Callable[..., FakeProbe], evidence_of: Callable[[Finding], tuple[str, bytes]]
) -> str:
    """Two homes, a bad day, with a capture for each bad finding."""
    for number in range(2):
        probe = probes(f"home{number}")
        for hour in range(0, 72, 6):
            bad = 24 <= hour < 48
            finding = probe.finding("interfered" if bad else "clean", START + hour * HOUR + number * 60_000)
            desk.give(finding, *([evidence_of(finding)] if bad else []), received_at=NOW)
    (row,) = desk.reader.incidents(10)
    return row.id


@pytest.fixture
def files(desk: Desk, incident: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files of its dossier; what its cover looks like is another test's affair, and takes a second."""
    monkeypatch.setattr("probe.collector.dossier.make.pdf", str.encode)
    return unpack(make(desk.reader, incident, KEY, NOW, "x.zip").data, "x.zip")
