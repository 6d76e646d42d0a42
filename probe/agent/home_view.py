"""What the home's page is told, out of the daemon's status. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from probe.model.finding import Clock, Instant
from probe.model.home import Category, Told, View


def view(
    status: Mapping[str, Any], findings: Iterable[Told], categories: list[Category], now: Instant, clock: Clock
) -> View:
    """``status``: as ``colibri status`` has it. What was found of a category that is off now is left out."""
    shown = {category.name for category in categories if category.on} | {""}
    return View(
        probe=status["probe"],
        software=status["software"],
        since=status["since"],
        now=now,
        line=status["line"],
        link="unknown" if not status["link"]["known"] else "up" if status["link"]["up"] else "down",
        clock=clock,
        feed=_feed(status["feed"]),
        trouble=status["feed"]["trouble"],
        waiting=status["spool"]["depth"],
        dropped=sum(status["spool"]["dropped"].values()),
        planned=status["planned"],
        bytes_per_day=status["bytes_per_day"],
        paused=status["paused"],
        counts=status["counts"],
        findings=[told for told in findings if told.category in shown],
        categories=categories,
        stalled=status["stalled"],
    )


def _feed(feed: Mapping[str, Any]) -> Literal["none", "connected", "trouble"]:
    if not feed["host"]:
        return "none"
    return "connected" if feed["connected"] else "trouble"
