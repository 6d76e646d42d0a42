"""The reasons of rejection: each is given somewhere, and each is counted under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

import probe.collector
from probe.collector.verdicts import Judged, Reason, Rejected

if TYPE_CHECKING:
    from tests.collector.conftest import Desk

REASONS: tuple[Reason, ...] = get_args(Reason)


def test_no_reason_is_promised_and_never_given() -> None:
    source = "".join(
        path.read_text() for path in Path(probe.collector.__path__[0]).glob("*.py") if path.name != "verdicts.py"
    )
    assert [reason for reason in REASONS if f'"{reason}"' not in source] == []


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_is_counted_and_kept(desk: Desk, reason: Reason) -> None:
    desk.store.commit([Judged("topic", b"payload", 1, Rejected(reason, "why"))])
    assert desk.reader.counters()[f"rejected.{reason}"] == 1
    assert [(row.reason, row.detail) for row in desk.reader.rejects(5)] == [(reason, "why")]
