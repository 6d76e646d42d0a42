"""Rendering: values of the store into HTML. Jinja2 escapes every value; no page has a script or style of its own."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup, escape

from probe import __version__
from probe.collector import case_lanes, case_words, timelines, views, words
from probe.collector.case_views import CaseView
from probe.collector.case_words import Names
from probe.collector.casebook import Told
from probe.collector.cells import Cell
from probe.collector.counters.views import CounterView
from probe.collector.events import Update, encode
from probe.collector.incident_views import IncidentView, Other, Place
from probe.collector.instants import to_text
from probe.collector.languages.language import CODES, NAMES, Language, mark
from probe.collector.store import FindingRow, ProbeRow, StoredFinding
from probe.collector.timelines import Timeline
from probe.collector.views import Time
from probe.model.finding import Finding

HERE = Path(__file__).parent

_FEEDS = {"incident": mark("Colibri: incidents"), "case": mark("Colibri: cases")}
_NAMES = uuid.UUID("0a3d6d0e-6f0e-5b0b-9a36-3f6c1c2d7e55")
# What XML 1.0 (section 2.2) can't hold, not even escaped; a probe may write any of it.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Pages:
    """All pages of the monitor in one language."""

    def __init__(self, language: Language, *, counting: bool = False) -> None:
        """``counting``: whether public counters are read, so that their page is linked."""
        self.language = language
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(breakable=breakable, bare=escape)
        self._templates.globals.update(
            _=language.html, n_=language.htmls, text=language.text, texts=language.texts, lang=language,
            base=f"/{language.code}", languages=[(code, NAMES[code]) for code in CODES], words=words,
            time=lambda at: Time.of(at, language), code=lambda text: Markup("<code>{}</code>").format(text),
            version=__version__, counting=counting,
        )  # fmt: skip

    def monitor(
        self, cells: list[Cell], probes: list[ProbeRow], counters: dict[str, int], now: int,
        going: Sequence[CaseView] = (), counted: Sequence[CounterView] = (),
    ) -> str:  # fmt: skip
        """The live page. ``going``: cases that go on; ``counted``: public counters."""
        page = views.monitor(cells, now, self.language)
        when = Time.of(now, self.language)
        return self.render(
            "monitor.html", "/", page=page, probes=probes, counters=counters, now=when, going=going, counted=counted
        )

    def cell(self, cell: Cell, decisive: Finding, findings: list[FindingRow], now: int) -> str:
        """The permanent page of one cell: its verdict, the decisive finding's reasons, and recent findings."""
        name = views.target_name(cell.target)
        return self.render(
            "cell.html", f"/cell/{cell.key}", cell=cell, view=views.view(cell, now, self.language), name=name,
            target_key=views.target_key(name), test=words.measurement(cell.measurement, self.language),
            finding=decisive, has_evidence=any(f.has_evidence for f in findings if f.id == cell.finding_id),
            findings=findings,
        )  # fmt: skip

    def finding(self, stored: StoredFinding, finding: Finding) -> str:
        """The permanent page of one finding."""
        return self.render(
            "finding.html", f"/finding/{finding.id}", stored=stored, finding=finding,
            details=msgspec.json.format(msgspec.json.encode(finding.details), indent=2).decode(),
            name=views.target_name(finding.target), operator=views.operator_name(finding.line, self.language),
            network=views.network(finding.line), access=words.access(finding.line.access, self.language),
            test=words.measurement(finding.measurement, self.language),
        )  # fmt: skip

    def incidents(self, shown: Sequence[IncidentView]) -> str:
        """The list of incidents, in the order given."""
        going = sum(view.open for view in shown)
        return self.render("incidents.html", "/incidents", incidents=shown, going=going)

    def incident(
        self, view: IncidentView, places: list[Place], others: list[Other], site: str, part_of: CaseView | None = None
    ) -> str:
        """The permanent page of one incident. ``site``: the monitor's own address, without a slash at its end;
        ``part_of``: the case that it is of, if there are others in it."""
        path = f"/incident/{view.id}"
        return self.render(
            "incident.html", path, i=view, places=places, others=others, part_of=part_of,
            permanent=f"{site}/{self.language.code}{path}",
        )  # fmt: skip

    def cases(self, shown: Sequence[CaseView]) -> str:
        """The list of cases, in the order given."""
        return self.render("cases.html", "/cases", cases=shown, going=sum(view.open for view in shown))

    def case(
        self, view: CaseView, told: Told, names: Names, places: list[Place], incidents: Sequence[IncidentView],
        site: str,
    ) -> str:  # fmt: skip
        """The permanent page of one case. ``incidents``: its own; ``site`` as above."""
        path = f"/case/{view.id}"
        return self.render(
            "case.html", path, c=view, sentences=case_words.sentences(told, names, self.language),
            spared=case_words.spared(told, self.language), measured=len(told.measured), places=places,
            incidents=incidents, width=case_lanes.WIDTH, permanent=f"{site}/{self.language.code}{path}",
        )  # fmt: skip

    def feed(self, shown: Sequence[IncidentView] | Sequence[CaseView], site: str, name: str = "incident") -> str:
        """Incidents or, by that ``name``, cases as Atom 1.0 (RFC 4287), in the order given. ``site`` as above."""
        code = self.language.code
        entries = [
            {"view": view, "id": _urn(f"{code}/{name}/{view.id}"), "updated": to_text(view.changed),
             "state": view.state}
            for view in shown
        ]  # fmt: skip
        page = self.render(
            "feed.xml", "", entries=entries, site=site, name=name, feed_id=_urn(f"{code}/{name}s"),
            title=self.language.text(_FEEDS[name]), updated=to_text(max((view.changed for view in shown), default=0)),
        )  # fmt: skip
        return _NO_XML.sub("\ufffd", page)

    def target(self, name: str, line: Timeline, days: int, incidents: Sequence[IncidentView]) -> str:
        """The history of a target over so many days."""
        key = views.target_key(name)
        return self.render(
            "target.html", f"/target/{key}?days={days}", key=key, name=name, line=line, chosen=days,
            spans=list(timelines.SPANS), states=timelines.STATES, width=timelines.WIDTH, incidents=incidents,
        )  # fmt: skip

    def error(self, status: int, message: str, detail: str = "") -> str:
        """A page that says what went wrong; ``message`` is a marked one, ``detail`` English of the program's own."""
        return self.render("error.html", "", status=status, message=self.language.html(message), detail=detail)

    def update(self, cells: list[Cell], after: int, now: int) -> Update:
        """Encoded events for what changed after a number; ``cells``: all of them."""
        newest = max((cell.change for cell in cells), default=0)
        if newest < after:
            # The viewer has seen more than there is: the store was replaced. Let it fetch everything.
            return Update([(newest, encode("reload", {}, newest))], newest)
        changed = [cell for cell in cells if cell.change > after]
        if not changed:
            return Update([], after)
        shown = [(cell, self._fragment("cell", views.view(cell, now, self.language))) for cell in changed]
        events = [(c.change, encode("cell", {"key": c.key, "html": html}, c.change)) for c, html in shown]
        summary = self._fragment("summary", views.summary(cells, now, self.language))
        return Update([*events, (newest, encode("summary", {"html": summary}, newest))], newest)

    def render(self, template: str, path: str, **values: Any) -> str:
        """A template's page. ``path``: the page's address without its language, empty if it has none of its own."""
        return self._templates.get_template(template).render(path=path, **values)

    def _fragment(self, macro: str, value: object) -> str:
        module: Any = self._templates.get_template("parts.html").module
        return str(getattr(module, macro)(value)).strip()


def _urn(name: str) -> str:
    """A permanent name that is the same wherever the monitor is served."""
    return uuid.uuid5(_NAMES, name).urn


def breakable(text: str) -> Markup:
    """Escaped text that may be broken after each dot and slash, so that a long name breaks where people expect it."""
    return Markup(re.sub(r"([./]+)", r"\1<wbr>", str(escape(text))))  # noqa: S704 - escaped just here
