"""Rendering: values of the store into HTML. Jinja2 escapes every value; no page has a script or style of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup, escape

from probe import __version__
from probe.collector import views, words
from probe.collector.cells import Cell
from probe.collector.events import Update, encode
from probe.collector.store import FindingRow, ProbeRow, StoredFinding
from probe.collector.views import Time
from probe.model.finding import Finding

HERE = Path(__file__).parent


class Pages:
    """All pages of the monitor."""

    def __init__(self) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["breakable"] = breakable
        self._templates.globals.update(words=words, time=Time.of, version=__version__)

    def monitor(self, cells: list[Cell], probes: list[ProbeRow], counters: dict[str, int], now: int) -> str:
        """The live page."""
        page = views.monitor(cells, now)
        return self._render("monitor.html", page=page, probes=probes, counters=counters, now=Time.of(now))

    def cell(self, cell: Cell, decisive: Finding, findings: list[FindingRow], now: int) -> str:
        """The permanent page of one cell: its verdict, the decisive finding's reasons, and recent findings."""
        has_evidence = any(f.has_evidence for f in findings if f.id == cell.finding_id)
        return self._render(
            "cell.html", cell=cell, view=views.view(cell, now), name=views.target_name(cell),
            finding=decisive, has_evidence=has_evidence, findings=findings,
        )  # fmt: skip

    def finding(self, stored: StoredFinding, finding: Finding) -> str:
        """The permanent page of one finding."""
        details = msgspec.json.format(msgspec.json.encode(finding.details), indent=2).decode()
        operator = views.operator_name(finding.line)
        return self._render("finding.html", stored=stored, finding=finding, details=details, operator=operator)

    def error(self, status: int, message: str) -> str:
        """A page that says what went wrong."""
        return self._render("error.html", status=status, message=message)

    def update(self, cells: list[Cell], after: int, now: int) -> Update:
        """Encoded events for what changed after a number; ``cells``: all of them."""
        newest = max((cell.change for cell in cells), default=0)
        if newest < after:
            # The viewer has seen more than there is: the store was replaced. Let it fetch everything.
            return Update([(newest, encode("reload", {}, newest))], newest)
        changed = [cell for cell in cells if cell.change > after]
        if not changed:
            return Update([], after)
        events = [
            (c.change, encode("cell", {"key": c.key, "html": self._fragment("cell", views.view(c, now))}, c.change))
            for c in changed
        ]
        summary = self._fragment("summary", views.summary(cells, now))
        return Update([*events, (newest, encode("summary", {"html": summary}, newest))], newest)

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)

    def _fragment(self, macro: str, value: object) -> str:
        module: Any = self._templates.get_template("parts.html").module
        return str(getattr(module, macro)(value)).strip()


def breakable(text: str) -> Markup:
    """Escaped text that may be broken after each dot and slash, so that a long name breaks where people expect it."""
    return Markup(re.sub(r"([./]+)", r"\1<wbr>", str(escape(text))))  # noqa: S704 - escaped just here
