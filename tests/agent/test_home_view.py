"""What the home's page is told, out of the daemon's status."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.agent.home_view import view
from probe.model.finding import Line
from probe.model.home import Category, Told, View

NOW = "2026-01-02T00:00:00.000Z"


def told(target: str, category: str = "") -> Told:
    return Told(measurement="dns_injection", target=target, group="", category=category, verdict="clean",
                technique=None, at=NOW, reasons=[])  # fmt: skip


def status(**changes: Any) -> dict[str, Any]:
    return {
        "probe": "p-1", "software": "colibri 1", "since": "2026-01-01T00:00:00.000Z", "line": Line("Operator A"),
        "link": {"up": True, "known": True, "interface": "eth0"},
        "feed": {"host": "", "connected": False, "trouble": ""},
        "spool": {"depth": 3, "bytes": 9, "dropped": {"clean": 2, "down": 1}}, "planned": 4,
        "bytes_per_day": 50_000_000, "paused": {}, "counts": {"clean": 1}, "stalled": [],
    } | changes  # fmt: skip


def test_it_is_what_the_page_can_read() -> None:
    made = view(status(), [told("a")], [], NOW, "synchronised")
    assert msgspec.json.decode(msgspec.json.encode(made), type=View) == made
    assert (made.waiting, made.dropped, made.planned, made.line.operator) == (3, 3, 4, "Operator A")


@pytest.mark.parametrize(
    ("up", "known", "expected"), [(False, False, "unknown"), (False, True, "down"), (True, True, "up")]
)
def test_the_line(up: bool, known: bool, expected: str) -> None:
    assert view(status(link={"up": up, "known": known}), [], [], NOW, "synchronised").link == expected


@pytest.mark.parametrize(
    ("feed", "expected"),
    [
        ({"host": "", "connected": False, "trouble": ""}, "none"),
        ({"host": "b", "connected": True, "trouble": ""}, "connected"),
        ({"host": "b", "connected": False, "trouble": "refused"}, "trouble"),
    ],
)
def test_the_feed(feed: dict[str, Any], expected: str) -> None:
    made = view(status(feed=feed), [], [], NOW, "synchronised")
    assert (made.feed, made.trouble) == (expected, feed["trouble"])


def test_what_was_found_of_a_category_that_is_off_is_not_shown() -> None:
    categories = [Category("faith", 1, on=True), Category("politics", 1, on=False)]
    findings = [told("a"), told("b", "faith"), told("c", "politics"), told("d", "no longer on any list")]
    made = view(status(), findings, categories, NOW, "synchronised")
    assert [one.target for one in made.findings] == ["a", "b"]
