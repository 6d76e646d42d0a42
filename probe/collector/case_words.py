"""What kind of case it is, in sentences: by what was measured beside it. Pure.

Each names its numbers, and says where something was found, never who did it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from markupsafe import Markup

from probe.collector import instants, views
from probe.collector.casebook import Told
from probe.collector.cells import Cell, operator_key
from probe.collector.incident_views import exemption
from probe.collector.incidents.cases import (
    Abroad,
    Alone,
    CallsNotChat,
    Company,
    Countrywide,
    Intermittent,
    InTurn,
    Trait,
)
from probe.collector.languages.language import Language, mark
from probe.collector.store import IncidentRow
from probe.model.finding import Access

LINES: dict[Access, str] = {
    "fixed": mark("fixed lines"), "mobile": mark("mobile lines"), "unknown": mark("lines of an unknown kind")
}  # fmt: skip


class Names(msgspec.Struct, frozen=True):
    """What operators (by key) and targets (by what was asked for) are called."""

    operators: Mapping[str, str]
    targets: Mapping[str, str]

    @classmethod
    def of(cls, cells: Iterable[Cell], rows: Iterable[IncidentRow] = ()) -> Names:
        """The newest names; those of the incidents go before."""
        ordered = sorted(cells, key=lambda cell: cell.last)
        operators = {operator_key(cell.line): cell.line.operator for cell in ordered if cell.line.operator}
        operators |= {row.incident.series.operator: row.operator for row in rows if row.operator}
        return cls(operators, {cell.target.input: views.target_name(cell.target) for cell in ordered})

    def operator(self, key: str, language: Language) -> str:
        """An operator's name, else its key."""
        return self.operators.get(key) or key or language.text("Unknown operator")

    def target(self, asked: str) -> str:
        """A target's name, else what was asked for."""
        return self.targets.get(asked, asked)


def sentences(told: Told, names: Names, language: Language) -> list[Markup]:
    """What kind of act it was, by what was measured elsewhere and beside it."""
    found: list[Markup] = []
    for trait in told.case.traits:
        found += _trait(trait, names, language)
    return found


def spared(told: Told, language: Language) -> list[Markup]:
    """Homes for which it worked while it was cut for the others."""
    # The same homes are spared with one target after the other: said once.
    return [exemption(one, language) for one in dict.fromkeys(told.case.exemptions)]


def _trait(trait: Trait, names: Names, language: Language) -> Iterable[Markup]:
    match trait:
        case Company(operator=key, cut=cut, watched=watched, others=others):
            operator = names.operator(key, language)
            yield language.htmls(
                "On %(operator)s it is found with %(cut)s of %(num)s address or name of this group.",
                "On %(operator)s it is found with %(cut)s of %(num)s addresses or names of this group.",
                watched, cut=cut, operator=operator,
            )  # fmt: skip
            if others:
                yield language.htmls(
                    "%(num)s target of others works there meanwhile.",
                    "%(num)s targets of others work there meanwhile.", others,
                )  # fmt: skip
        case Alone(fine=fine):
            told = language.listed(names.operator(key, language) for key in fine)
            yield language.html("It works on other operators of the country that measured it: %(operators)s.",
                                operators=told)  # fmt: skip
        case Countrywide(operators=operators):
            yield language.htmls(
                "It is found on the %(num)s operator of the country that was measured.",
                "It is found on all %(num)s operators of the country that were measured.", len(operators),
            )  # fmt: skip
        case Abroad(fine=fine, failing=failing):
            if fine:
                told = language.listed(language.country(code) for code in fine)
                yield language.html("It works abroad: %(countries)s.", countries=told)
            if failing:
                told = language.listed(language.country(code) for code in failing)
                yield language.html("It does not work abroad either: %(countries)s.", countries=told)
        case CallsNotChat(chat=chat):
            told = language.listed(names.target(asked) for asked in chat)
            yield language.html("Text messages work on the same lines: %(targets)s.", targets=told)
        case Intermittent(share=share, hours=hours):
            yield language.html("It comes and goes: %(share)s of the measurements show it.",
                                share=language.percent(share))  # fmt: skip
            if hours:
                told = language.listed(f"{hour:02}:00" for hour in hours)
                yield language.html("Most often in the hours from %(hours)s (UTC).", hours=told)
        case InTurn(first=first, then=then, after=after):
            earlier, later = (Markup.escape(language.text(LINES[access])) for access in (first, then))
            yield language.htmls(
                "It began on %(first)s, and %(num)s day later on %(then)s.",
                "It began on %(first)s, and %(num)s days later on %(then)s.", after // instants.DAY, first=earlier,
                then=later,
            )  # fmt: skip
