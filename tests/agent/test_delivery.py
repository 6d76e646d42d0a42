"""From an outcome to the spool: signed, kept, told, with the packets that may travel."""

from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from probe.agent.backoff import Backoff
from probe.agent.delivery import Delivery
from probe.agent.findings import MOST_EVIDENCE
from probe.agent.identity import Identity
from probe.agent.publisher import Publisher
from probe.agent.spool import Entry, Spool
from probe.model.canonical import verify
from probe.model.config import MqttConfig
from probe.model.errors import MalformedRecord
from probe.model.finding import Finding, Interference, Line
from probe.model.outcome import Outcome
from tests.agent.test_findings import outcome


def spooled(tmp_path: Path, made: Outcome) -> tuple[Entry, Finding]:
    async def scene() -> tuple[Entry, Finding]:
        spool = Spool(tmp_path / "spool", 1 << 24)
        publisher = Publisher(MqttConfig(), "p-1", spool, lambda: pytest.fail("no info"), backoff=Backoff(Random(1)))
        delivery = Delivery(Identity(tmp_path, "p-1"), lambda: Line("A"), publisher)
        finding = delivery.finding(made, "press")
        await delivery.publish(made, finding)
        (entry,) = spool.pending(10, 0.0)
        spool.close()
        return entry, finding

    return asyncio.run(scene())


def test_a_finding_is_signed_and_kept_as_it_will_be_sent(tmp_path: Path) -> None:
    made = outcome(verdict="interfered", interference=Interference("dns_injection"))
    entry, finding = spooled(tmp_path, made)
    decoded: dict[str, Any] = msgspec.json.decode(entry.json)
    assert verify(decoded, Identity(tmp_path, "p-1").public_key)
    assert msgspec.json.decode(entry.json, type=Finding) == finding
    assert (finding.probe.id, finding.line.operator, finding.target.group) == ("p-1", "A", "press")
    assert (entry.id, entry.verdict, entry.made_at) == (finding.id, "interfered", made.started)
    assert gzip.decompress(entry.evidence or b"") == made.pcapng


def test_evidence_that_is_too_large_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry, finding = spooled(tmp_path, outcome(pcapng=os.urandom(MOST_EVIDENCE + 100), verdict="down"))
    assert entry.evidence is None
    assert f"evidence of {finding.id} is too large" in caplog.text


def test_what_breaks_the_contract_never_reaches_the_spool(tmp_path: Path) -> None:
    with pytest.raises(MalformedRecord):
        spooled(tmp_path, outcome(confidence=2.0))
