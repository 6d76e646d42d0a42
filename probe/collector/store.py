"""What the collector needs from a store. The embedded one is ``sqlite_store`` and ``sqlite_reader``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from probe.collector.cells import Cell
from probe.collector.heartbeats import Silence
from probe.collector.history import HistoryRow
from probe.collector.incidents.cases import Look
from probe.collector.incidents.model import Incident
from probe.collector.search import Search
from probe.collector.verdicts import Judged, Outcome
from probe.model.finding import Interference, Line, Target, Verdict


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One finding in a list. ``at`` is None where no trustworthy clock dated it; times in ms."""

    id: str
    cell: str
    probe: str
    measurement: str
    target: Target
    line: Line
    verdict: Verdict
    interference: Interference | None
    at: int | None
    received_at: int
    has_evidence: bool


class StoredFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding, whole. ``body``: the JSON as it came."""

    body: bytes
    cell: str
    at: int | None
    received_at: int
    has_evidence: bool


class IncidentRow(msgspec.Struct, frozen=True):
    """An incident with its permanent id, the store's number of its last change, and names as they were last told."""

    id: str
    change: int
    incident: Incident
    operator: str
    group: str


class ProbeRow(msgspec.Struct, frozen=True):
    """What is known of a probe. ``seen``: its last message, in ms."""

    id: str
    online: bool
    seen: int


class RejectRow(msgspec.Struct, frozen=True):
    """A message kept aside. ``size``: bytes that came, of which ``head`` shows the first."""

    received_at: int
    topic: str
    reason: str
    detail: str
    size: int
    head: bytes


class Store(Protocol):
    """The writing side; one owner, one thread."""

    def commit(self, batch: Sequence[Judged], *, more: bool = False) -> list[Outcome]:
        """Store a batch in one transaction, durably when it returns; one outcome a message, in order. ``more``: others
        are waiting already, so that incidents may be told anew with one of them.

        Raises StoreError, and then nothing of the batch is stored.
        """

    def pinned_keys(self) -> dict[str, str]:
        """Probe id → the first key that was seen for it."""

    def home_secret(self) -> bytes:
        """Key of the hashes by which homes are told apart (:mod:`probe.collector.homes`), the same for ever.

        Raises StoreError.
        """

    def close(self) -> None:
        """Let go of the files."""


class Reader(Protocol):
    """The reading side; may be used from several threads, sees only what is committed. Every call raises StoreError."""

    def cells(self, after: int = 0) -> list[Cell]:
        """Cells that changed after the sequence number ``after``, in the order of their change."""

    def cell(self, key: str) -> Cell | None:
        """One cell."""

    def findings(self, limit: int, cell: str | None = None) -> list[FindingRow]:
        """The newest findings, newest first; of one cell if ``cell`` is given."""

    def cells_named(self, keys: Sequence[str]) -> list[Cell]:
        """Those of these cells that there are."""

    def search(self, search: Search) -> list[FindingRow]:
        """The findings that are asked for, newest first."""

    def crowd(self, since: int) -> list[tuple[Line, str]]:
        """Lines with the probes that measured there since an instant (ms)."""

    def homes(self) -> dict[str, str]:
        """Probe → a name of the public prefix that it was behind last; empty where the broker tells of nobody."""

    def finding(self, finding_id: str) -> StoredFinding | None:
        """One finding by its id."""

    def evidence(self, finding_id: str) -> bytes | None:
        """Its capture, compressed as it came, once its hash agreed with the finding's."""

    def incidents(self, limit: int, *, open_only: bool = False, after: int = 0) -> list[IncidentRow]:
        """Incidents, those that last first, then by their end, newest first. ``after``: changed after that number."""

    def incident(self, incident_id: str) -> IncidentRow | None:
        """One incident by its permanent id."""

    def silence(self, incident: Incident) -> tuple[Silence, ...]:
        """What the heartbeats of those who measured around them prove of an incident's silent intervals, each."""

    def heartbeats(self, probe: str, since: int, until: int) -> list[bytes]:
        """Signed heartbeats of a probe in an interval (ms), one an hour at the most, as they came; the oldest first."""

    def looks(self, since: int, until: int) -> list[Look]:
        """How every kind of line fared with every target in an interval (ms), by the roll-up."""

    def history(self, targets: Sequence[str], since: int, until: int, slot: int) -> list[HistoryRow]:
        """What was measured of targets (as they were asked for) in the hours from ``since`` to ``until``, by slots of
        so many ms."""

    def probes(self) -> list[ProbeRow]:
        """All probes ever heard."""

    def rejects(self, limit: int) -> list[RejectRow]:
        """The newest messages kept aside, newest first."""

    def counters(self) -> dict[str, int]:
        """``received``, ``stored``, ``duplicate`` … and ``rejected.<reason>``; they outlive restarts."""

    def close(self) -> None:
        """Let go of the files."""
