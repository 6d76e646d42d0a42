"""What belongs to an incident."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import msgspec

from probe.collector.store import IncidentRow
from probe.model.finding import Finding
from tests.collector.conftest import PCAPNG

if TYPE_CHECKING:
    from tests.collector.conftest import Desk


def test_findings_as_they_came_in_order_with_their_captures_and_keys(desk: Desk, files: dict[str, bytes]) -> None:
    findings = [msgspec.json.decode(line, type=Finding) for line in files["findings.jsonl"].splitlines()]
    assert [f.started_at for f in findings] == sorted(f.started_at for f in findings)
    assert len(findings) == 24
    bodies = {row.id: desk.reader.finding(row.id) for row in desk.reader.findings(100)}
    first = bodies[findings[0].id]
    assert first is not None
    assert files["findings.jsonl"].splitlines()[0] == first.body
    captures = {name: data for name, data in files.items() if name.startswith("evidence/")}
    assert captures.keys() == {f"evidence/{f.id}.pcapng.gz" for f in findings if f.verdict == "interfered"}
    assert all(gzip.decompress(data) == PCAPNG for data in captures.values())
    keys = msgspec.json.decode(files["keys.json"])
    assert keys == {f.probe.id: f.signature.key for f in findings if f.signature}


def test_the_incident_its_case_and_how_to_check(files: dict[str, bytes], incident: str) -> None:
    assert msgspec.json.decode(files["incident.json"], type=IncidentRow).id == incident
    assert incident in msgspec.json.decode(files["case.json"])["members"]
    assert "AS64501 (fixed): 1 target, 2 of 2 homes" in files["case.txt"].decode()
    readme = files["README.txt"].decode()
    assert "colibri collector check x.zip" in readme
    assert "dns_injection of news.example by Atlas Telecom (MA)" in readme
