"""The readable cover of a dossier: HTML in the reader's language, from which the PDF is made."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape

from probe import __version__
from probe.collector import case_views, incident_views, timelines, words
from probe.collector.case_words import sentences
from probe.collector.dossier import picture
from probe.collector.dossier.excluded import Check, Doubt
from probe.collector.dossier.facts import Facts, Lane
from probe.collector.dossier.manifest import RECOMPUTE
from probe.collector.dossier.phrases import CONFOUNDERS, GLOSSARY, LETTERS, METHODS, UNSURE, Recipient
from probe.collector.incidents.model import HOUR
from probe.collector.instants import DAY
from probe.collector.languages.language import Code, Language, load
from probe.collector.pages import HERE
from probe.collector.public import K
from probe.collector.views import Time

DOMAIN = "dossier"
"""Catalogue of the messages that covers and studies alone need."""
_TICKS = 6
_APART = re.compile(r"<bdi>(.*?)</bdi>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>|&[^;]*;")


def cover(facts: Facts, to: Recipient, code: Code, now: int, *, file: str, key: str) -> str:
    """HTML with its style and pictures inside it. ``now`` in ms; ``file``: the dossier's name; ``key``: short name of
    the key that signs it."""
    language = load(code, DOMAIN)
    series = facts.row.incident.series
    view = incident_views.view(facts.row, facts.names.target(series.target), now, language, facts.silences)
    technique = language.text(words.TECHNIQUES[series.technique].label)
    return render(
        "dossier.html", language, f=facts, i=view, letter=LETTERS[to], file=file, key=key, recompute=RECOMPUTE,
        title=language.html("%(technique)s: %(target)s on %(operator)s", technique=escape(technique),
                            target=view.target, operator=view.operator),
        country=language.country(view.country), made=Time.of(now, language), start=Time.of(facts.start, language),
        end=Time.of(facts.end, language), lanes=[_lane(one, facts, language) for one in facts.lanes],
        ticks=[(language.day(at), round(100 * (at - facts.start) / (facts.end - facts.start), 1))
               for at in _ticks(facts.start, facts.end)],
        keys=[{"label": language.text(label), "picture": picture.key(s)} for s, label in timelines.STATES.items()],
        sentences=sentences(facts.told, facts.names, language) if facts.told is not None else [],
        case=case_views.view(facts.told.rows, facts.names, now, language) if facts.told is not None else None,
        total=sum(facts.verdicts.values()),
        method=METHODS.get(series.measurement, ""), glossary=GLOSSARY,
        checks=[_check(one, language) for one in facts.checks], doubts=[_doubt(one, language) for one in facts.doubts],
    )  # fmt: skip


def render(template: str, language: Language, **values: Any) -> str:
    """A page that stands alone."""
    page = _templates().get_template(template).render(
        _=language.html, n_=language.htmls, text=language.text, lang=language, words=words, version=__version__,
        css=Markup((HERE / "templates/print.css").read_text("utf-8")),  # noqa: S704 - our own file
        code=lambda text: Markup("<code>{}</code>").format(text), **values,
    )  # fmt: skip
    return _APART.sub(_directed, page)


def _directed(found: re.Match[str]) -> str:
    """Isolated text with its own direction, by its first strong letter (UAX #9, P2): WeasyPrint takes the page's."""
    kinds = (unicodedata.bidirectional(sign) for sign in _TAG.sub("", found[1]))
    strong = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L")
    return f'<bdi dir="{"ltr" if strong == "L" else "rtl"}">{found[1]}</bdi>'


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def _ticks(start: int, end: int) -> list[int]:
    """Midnights (UTC) at equal distances, so few that their dates have room."""
    first = -(-start // DAY) * DAY
    step = max(1, -(-(end - first) // (_TICKS * DAY))) * DAY
    # The last of them needs room for its date before the edge.
    return [at for at in range(first, end, step) if at <= end - (end - start) // 16]


def _lane(lane: Lane, facts: Facts, language: Language) -> dict[str, object]:
    bad, made = sum(run[3] for run in lane.runs), sum(run[4] for run in lane.runs)
    return {
        "operator": lane.operator or language.text("Unknown operator"), "access": words.access(lane.access, language),
        "country": language.country(lane.country), "own": lane.own,
        "target": facts.names.target(lane.target) if lane.target else "",
        "picture": picture.lane(lane.runs, facts.start, facts.end, _ticks(facts.start, facts.end)),
        "said": language.texts(
            "in %(bad)s of %(num)s measurement", "in %(bad)s of %(num)s measurements", made, bad=bad
        ),
    }  # fmt: skip


def _check(one: Check, language: Language) -> dict[str, object]:
    told = CONFOUNDERS[one.name]
    return {
        "what": language.html(told.what), "excluded": one.excluded,
        "test": language.html(told.test, against=one.against, made=one.made) if one.made
        else language.html("Nothing was measured that could tell."),
    }  # fmt: skip


def _doubt(one: Doubt, language: Language) -> Markup:
    values = {"num": one.number, "all": one.of, "k": K,
              "span": language.duration(-(-one.span // HOUR) * HOUR)}  # fmt: skip
    return language.html(UNSURE[one.name], **values)
