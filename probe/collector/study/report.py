"""A study for people to read: HTML in the reader's language, from which the PDF is made."""

from __future__ import annotations

import msgspec

from probe.collector import incident_views, words
from probe.collector.dossier import picture
from probe.collector.dossier.cover import DOMAIN, render
from probe.collector.languages.language import Code, Language, load
from probe.collector.public import K
from probe.collector.study.figures import Figures, Operator
from probe.collector.study.months import bounds
from probe.collector.views import Time


class _Row(msgspec.Struct, frozen=True):
    """An operator's trend, month by month: each share in words and as a picture."""

    name: str
    shares: list[tuple[str, str]]


def report(figures: Figures, code: Code, now: int) -> str:
    """HTML with its style and pictures inside it. ``now`` in ms: when it was made."""
    language = load(code, DOMAIN)
    months = list(dict.fromkeys(one.month for one in figures.trend))
    names = {one.key: one.name for one in figures.operators}
    return render(
        "study.html", language, f=figures, k=K, made=Time.of(now, language),
        month=language.month(figures.since), country=language.country(figures.country),
        whole=figures.until >= bounds(figures.month)[1], until=Time.of(figures.until, language),
        cut=sum(one.cut > 0 for one in figures.operators),
        operators=[(one, _share(one, language)) for one in figures.operators], names=names,
        techniques=[(one, names[one.operator], language.text(words.TECHNIQUES[one.technique].label))
                    for one in figures.techniques],
        incidents=[incident_views.view(row, "", now, language) for row in figures.incidents],
        months=[language.month(bounds(one)[0]) for one in months],
        trend=[_trend(figures, months, one.key, one.name, language) for one in figures.operators],
        silent=[one for one in figures.operators if one.silent],
    )  # fmt: skip


def _share(one: Operator, language: Language) -> str:
    return language.percent(one.cut / one.pairs) if one.pairs else "–"


def _trend(figures: Figures, months: list[str], key: str, name: str, language: Language) -> _Row:
    found = {one.month: one.share for one in figures.trend if one.operator == key}
    return _Row(name, [
        (language.percent(share), picture.bar(share)) if share is not None else ("–", "")
        for share in (found.get(month) for month in months)
    ])  # fmt: skip
