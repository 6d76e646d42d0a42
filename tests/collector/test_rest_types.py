"""What the API answers with, by name."""

from __future__ import annotations

import msgspec
import pytest

from probe.collector import rest_types
from tests.samples import SAMPLE

ITEM = {
    "id": SAMPLE["id"], "cell": "0123456789abcdef", "probe": "p-1", "measurement": "dns_injection",
    "target": SAMPLE["target"], "line": SAMPLE["line"], "verdict": "interfered",
    "interference": SAMPLE["interference"], "at": SAMPLE["started_at"], "received_at": SAMPLE["started_at"],
    "has_evidence": True,
}  # fmt: skip


def test_an_item_keeps_its_names() -> None:
    assert msgspec.to_builtins(msgspec.convert(ITEM, rest_types.FindingItem)) == ITEM


@pytest.mark.parametrize(("field", "value"), [("cell", "x"), ("id", "1"), ("at", "2026-01-02"), ("verdict", "blocked")])
def test_an_item_that_can_not_be_is_refused(field: str, value: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(ITEM | {field: value}, rest_types.FindingItem)


@pytest.mark.parametrize(
    ("page", "name"),
    [(rest_types.FindingPage, "findings"), (rest_types.StatePage, "states"), (rest_types.IncidentPage, "incidents")],
)
def test_a_page_says_what_it_is(page: type, name: str) -> None:
    assert msgspec.to_builtins(page(items=[], next=None)) == {
        "schema": f"colibri.page.{name}/1", "items": [], "next": None,
    }  # fmt: skip
