"""From cases to what their lists and pages say: where, since when, until when, how many homes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from probe.collector import incident_views, views, words
from probe.collector.case_lanes import Lane, lanes, ticks
from probe.collector.case_words import Names
from probe.collector.incident_views import STATES, Place, began, changed, ended
from probe.collector.incidents.cases import Member, Part, case, is_calls
from probe.collector.incidents.model import Counted, State
from probe.collector.languages.language import Language
from probe.collector.store import FindingRow, IncidentRow
from probe.collector.views import Time
from probe.measurements._judge import wilson_lower


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    """One operator's lines of one kind."""

    operator: str
    access: str
    since: Time
    until: Time | None
    targets: tuple[tuple[str, str], ...]  # (name, key of its page)
    homes: int
    heard: int
    sure: str


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A case in a list and in the feed. ``changed``: when it last grew, began or ended, ms."""

    id: str
    title: str
    heading: Markup
    state: str
    open: bool
    calls: bool
    country: str
    since: Time
    until: Time | None
    began: Markup
    ended: Markup
    lasted: str
    operators: int
    targets: int
    incidents: int
    homes: int
    heard: int
    sure: str
    parts: list[PartView]
    lanes: list[Lane]
    ticks: list[str]
    changed: int
    counted: Counted
    summary: str


def view(rows: Sequence[IncidentRow], names: Names, now: int, language: Language) -> CaseView:
    """A case by its incidents (by their beginning). ``now`` in ms."""
    one = case([Member(row.id, row.group, row.incident) for row in rows], ())
    targets = sorted({names.target(row.incident.series.target) for row in rows})
    parts = [_part(part, names, language) for part in one.parts]
    homes, heard = sum(part.homes for part in one.parts), sum(part.heard for part in one.parts)
    operators = sorted({part.operator for part in one.parts})
    end = one.ended.after if one.ended is not None else now
    lasts: State = "open" if one.ended is None else "closed"
    where = _Where(_what(rows, language), _subject(rows, targets, language), one.country,
                   [names.operator(key, language) for key in operators])  # fmt: skip
    return CaseView(
        id=rows[0].id, title=where.text(language), heading=where.html(language),
        state=language.text(STATES[lasts]), open=one.ended is None,
        calls=one.calls, country=one.country, since=Time.of(one.began.until, language),
        until=Time.of(one.ended.after, language) if one.ended is not None else None,
        began=began(one.began, language), ended=ended(one.ended, language),
        lasted=language.duration(max(0, end - one.began.until)), operators=len(operators), targets=len(targets),
        incidents=len(rows), homes=homes, heard=heard, sure=language.percent(wilson_lower(homes, heard)), parts=parts,
        lanes=lanes(one, rows, [(part.operator, part.access) for part in parts], now),
        ticks=ticks(one, now, language), changed=max(changed(row.incident) for row in rows),
        counted=_counted(rows), summary=_summary(one.began.until, end, one.ended is None, homes, heard, language),
    )  # fmt: skip


def places(found: Sequence[tuple[IncidentRow, Sequence[FindingRow]]], language: Language) -> list[Place]:
    """Where on the path, by findings of its incidents; the link that most probes name first."""
    named: dict[Markup, set[str]] = {}
    for row, findings in found:
        for place, probes in incident_views.named(row.incident, findings, language).items():
            named.setdefault(place, set()).update(probes)
    return incident_views.ordered(named)


class _Where(msgspec.Struct, frozen=True):
    what: str
    subject: str
    country: str
    operators: list[str]

    def text(self, language: Language) -> str:
        if len(self.operators) == 1:
            return language.text(
                "%(technique)s: %(target)s on %(operator)s", technique=self.what, target=self.subject,
                operator=self.operators[0],
            )  # fmt: skip
        return language.texts(
            "%(technique)s: %(target)s on %(num)s operator, %(country)s",
            "%(technique)s: %(target)s on %(num)s operators, %(country)s",
            len(self.operators), technique=self.what, target=self.subject, country=language.country(self.country),
        )  # fmt: skip

    def html(self, language: Language) -> Markup:
        what = Markup.escape(self.what)
        if len(self.operators) == 1:
            return language.html(
                "%(technique)s: %(target)s on %(operator)s", technique=what, target=self.subject,
                operator=self.operators[0],
            )  # fmt: skip
        return language.htmls(
            "%(technique)s: %(target)s on %(num)s operator, %(country)s",
            "%(technique)s: %(target)s on %(num)s operators, %(country)s",
            len(self.operators), technique=what, target=self.subject, country=language.country(self.country),
        )  # fmt: skip


def _counted(rows: Sequence[IncidentRow]) -> Counted:
    kinds = {row.incident.counted for row in rows}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def _what(rows: Sequence[IncidentRow], language: Language) -> str:
    """The technique, if all incidents agree in its words; else what they have in common."""
    labels = {language.text(words.TECHNIQUES[row.incident.series.technique].label) for row in rows}
    if len(labels) == 1:
        return labels.pop()
    return language.text("Calls blocked") if is_calls(rows[0].incident) else language.text("Interference")


def _subject(rows: Sequence[IncidentRow], targets: Sequence[str], language: Language) -> str:
    if len(targets) == 1:
        return targets[0]
    if words.is_calls(rows[0].group):
        return language.texts("%(num)s service", "%(num)s services", len(targets))
    group = words.group(rows[0].group, language)
    return language.texts("%(group)s (%(num)s target)", "%(group)s (%(num)s targets)", len(targets), group=group)


def _part(part: Part, names: Names, language: Language) -> PartView:
    targets = sorted({names.target(target) for target in part.targets})
    return PartView(
        operator=names.operator(part.operator, language), access=words.access(part.access, language),
        since=Time.of(part.began.until, language),
        until=Time.of(part.ended.after, language) if part.ended is not None else None,
        targets=tuple((name, views.target_key(name)) for name in targets), homes=part.homes, heard=part.heard,
        sure=language.percent(wilson_lower(part.homes, part.heard)),
    )  # fmt: skip


def _summary(since: int, end: int, lasts: bool, homes: int, heard: int, language: Language) -> str:
    """In plain text, for the feed."""
    if lasts:
        told = language.text("It began by %(since)s and goes on.", since=language.date(since))
    else:
        told = language.text("It lasted from %(since)s to %(until)s.", since=language.date(since),
                             until=language.date(end))  # fmt: skip
    saw = language.texts(
        "%(homes)s of %(num)s independent home saw it.", "%(homes)s of %(num)s independent homes saw it.", heard,
        homes=homes,
    )  # fmt: skip
    return f"{told} {saw}"
