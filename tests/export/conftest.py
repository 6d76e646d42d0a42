"""Findings to export: those of the golden evidence, judged again, and others made by hand."""

from __future__ import annotations

import copy
import gzip
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from probe.agent.findings import assemble
from probe.engine.replay import replay
from probe.model.finding import Evidence, Finding, Line, Probe
from probe.model.outcome import Outcome
from tests.samples import SAMPLE

GOLDEN = Path(__file__).parents[1] / "measurements/golden"
TECHNIQUES = sorted(path.name.partition(".")[0] for path in GOLDEN.iterdir())
STARTED = 1767323045.678
"""2026-01-02T03:04:05.678Z, in seconds since the epoch."""


@cache
def golden(technique: str) -> Finding:
    """What a probe would publish of a golden recording."""
    data = gzip.decompress((GOLDEN / f"{technique}.pcapng.gz").read_bytes())
    again = replay(data, technique)
    outcome = Outcome(
        measurement=again.log.measurement, version=again.version, judgement=again.judgement, started=STARTED,
        duration=2.5, clock="synchronised", evidence=Evidence(12, "0" * 64, 9), pcapng=data,
    )  # fmt: skip
    line = Line("Example Telecom", 64500, "MA", "mobile")
    return assemble(outcome, probe=Probe("p-1", "colibri 0.1.0"), line=line, group="press", entropy=bytes)


def made(measurement: str, details: dict[str, Any], technique: str = "", **changes: Any) -> Finding:
    """A finding with these details: interfered with a technique, else clean; any other field may be changed, those of
    its target too."""
    whole = {**copy.deepcopy(SAMPLE), "measurement": measurement, "details": details, "signature": None}
    whole |= {"verdict": "interfered" if technique else "clean", "version": "3"}
    whole["interference"] = {"technique": technique} if technique else None
    target = {key: changes.pop(key) for key in ("input", "name", "address", "port") if key in changes}
    whole["target"] |= {"name": "site.example", "input": "site.example", **target}
    return msgspec.convert({**whole, **changes}, Finding)
