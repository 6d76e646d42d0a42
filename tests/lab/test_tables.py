"""The score as tables."""

from __future__ import annotations

import msgspec

from probe.lab import tables
from probe.lab.kinds import Impair
from tests.lab.test_report import OBSERVATIONS


def test_the_tables_say_the_same() -> None:
    text = tables.to_markdown(OBSERVATIONS)
    assert "**1 false alarms in 2 runs where nothing interferes**, 2 of them made to\n  deceive (95 %" in text
    assert "| dns_injection | 4 | 3 | 4 | 75.0% | 75.0% | 33.3% | 1/3 | 4 |" in text
    assert "| dns_injection | agg | 3 | 1 | 4 | 3 | 75.0% | 33.3% | 0–2–3 |" in text
    assert "| loss | 2 | 1 | inconclusive 1, interfered 1 |" in text
    assert "| dns | sale | m t | 3/4 | 1/4 | error 1, interfered 3 | 0–2–3 |" in text
    assert "access line of its own" not in text


def test_the_weather_is_told() -> None:
    lines = [Impair(at="", loss=loss, jitter=0.01) for loss in (0.001, 0.049)]
    text = tables.to_markdown([msgspec.structs.replace(OBSERVATIONS[0], line=line) for line in lines])
    assert "loss 0.1% to 4.9% each way,\njitter up to 10 ms" in text


def test_nothing_measured_is_no_error() -> None:
    assert "0 of 0 runs" in tables.to_markdown([])
