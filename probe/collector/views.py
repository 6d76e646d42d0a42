"""From cells to what the page shows: columns, groups, rows and the sentences above them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from markupsafe import Markup

from probe.collector import instants, words
from probe.collector.cells import Cell, operator_key
from probe.collector.languages.language import Language
from probe.model.feed import short_hash
from probe.model.finding import Line, Location, Target, Verdict

STALE = instants.DAY
"""A cell that nobody has measured for so long says nothing about now."""


class Time(msgspec.Struct, frozen=True):
    """An instant for people (UTC) and for machines."""

    text: str
    iso: str

    @classmethod
    def of(cls, at: int, language: Language) -> Time:
        """From ms."""
        return cls(language.date(at), instants.to_text(at))


class CellView(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the table. ``place`` is empty where nothing was located."""

    key: str
    verdict: Verdict
    label: str
    technique: str
    place: Markup
    since: Time
    last: Time
    agree: int
    probes: int
    stale: bool
    operator: str
    access: str


class Column(msgspec.Struct, frozen=True):
    """One operator, by access type."""

    key: str
    operator: str
    access: str
    network: str


class Row(msgspec.Struct, frozen=True):
    """One test of a target across the columns. ``asked`` is what was asked for, if the target's name doesn't say it."""

    test: str
    asked: str
    cells: list[CellView | None]


class TargetRows(msgspec.Struct, frozen=True):
    """A target with its tests. ``key``: of its page."""

    name: str
    key: str
    rows: list[Row]


class Group(msgspec.Struct, frozen=True):
    """Targets that belong together."""

    title: str
    targets: list[TargetRows]


class OperatorSentence(msgspec.Struct, frozen=True):
    """What is found on one operator now, in so many ``tests``. ``unsure``: inconclusive ones; ``found``: technique →
    targets."""

    operator: str
    access: str
    tests: int
    interfered: int
    unsure: int
    found: dict[str, list[str]]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The sentences at the top. ``state`` sets their colour; the numbers are those of the last 24 hours."""

    headline: str
    state: Verdict
    operators: list[OperatorSentence]
    measured: int = 0
    interfered: int = 0
    tests: int = 0
    tests_interfered: int = 0
    tests_unsure: int = 0


class Monitor(msgspec.Struct, frozen=True):
    """The whole page. ``change``: the newest change that it shows."""

    summary: Summary
    columns: list[Column]
    groups: list[Group]
    change: int


def monitor(cells: Sequence[Cell], now: int, language: Language) -> Monitor:
    """Arrange the cells. ``now`` in ms."""
    columns = _columns(cells, language)
    order = [column.key for column in columns]
    groups: dict[str, dict[str, dict[tuple[str, str], dict[str, Cell]]]] = {}
    for cell in cells:
        targets = groups.setdefault(words.group(cell.target.group, language), {})
        rows = targets.setdefault(target_name(cell.target), {})
        rows.setdefault((cell.measurement, cell.target.input), {})[cell.column] = cell
    last = words.group("", language)
    return Monitor(
        summary=summary(cells, now, language),
        columns=columns,
        groups=[
            Group(title, [
                TargetRows(name, target_key(name), _rows(name, targets[name], order, now, language))
                for name in sorted(targets)
            ])
            for title, targets in sorted(groups.items(), key=lambda item: (item[0] == last, item[0]))
        ],
        change=max((cell.change for cell in cells), default=0),
    )  # fmt: skip


def target_name(target: Target) -> str:
    """What a target is called: its name, else what was asked for."""
    return target.name or target.input


def target_key(name: str) -> str:
    """Permanent name of a target's page, safe in an address: 16 hexadecimal digits."""
    return short_hash(name)


def operator_name(line: Line, language: Language) -> str:
    """What an operator is called."""
    return line.operator or (f"AS{line.asn}" if line.asn else language.text("Unknown operator"))


def view(cell: Cell, now: int, language: Language) -> CellView:
    """One cell. ``now`` in ms."""
    technique = words.technique(cell.interference)
    return CellView(
        key=cell.key,
        verdict=cell.verdict,
        label=language.text(words.VERDICTS[cell.verdict].label),
        technique=language.text(technique.label) if technique else "",
        place=words.place(_location(cell), language),
        since=Time.of(cell.since, language),
        last=Time.of(cell.last, language),
        agree=cell.agree,
        probes=cell.probes,
        stale=now - cell.last > STALE,
        operator=operator_name(cell.line, language),
        access=words.access(cell.line.access, language),
    )


def summary(cells: Iterable[Cell], now: int, language: Language) -> Summary:
    """What is found now, operator by operator. Cells that nobody measured lately don't count."""
    lines: dict[str, list[Cell]] = {}
    for cell in cells:
        if now - cell.last <= STALE:
            lines.setdefault(cell.column, []).append(cell)
    fresh = [cell for own in lines.values() for cell in own]
    measured = {_operator(cell) for cell in fresh}
    interfered = {_operator(cell) for cell in fresh if cell.verdict == "interfered"}
    conclusive = any(cell.verdict != "inconclusive" for cell in fresh)
    headline, state = _headline(len(measured), len(interfered), conclusive, language)
    sentences = [_sentence(own, language) for own in lines.values()]
    sentences.sort(key=lambda s: (-s.interfered, s.operator, s.access))
    return Summary(
        headline=headline, state=state, operators=sentences, measured=len(measured), interfered=len(interfered),
        tests=len(fresh),
        tests_interfered=sum(c.verdict == "interfered" for c in fresh),
        tests_unsure=sum(c.verdict == "inconclusive" for c in fresh),
    )  # fmt: skip


def _headline(measured: int, interfered: int, conclusive: bool, language: Language) -> tuple[str, Verdict]:
    if not measured:
        return language.text("No measurement in the last 24 hours"), "inconclusive"
    if interfered:
        return language.texts(
            "Interference on %(found)s of %(num)s operator now", "Interference on %(found)s of %(num)s operators now",
            measured, found=interfered,
        ), "interfered"  # fmt: skip
    if conclusive:
        return language.texts(
            "No interference found on %(num)s operator now", "No interference found on %(num)s operators now", measured
        ), "clean"
    return language.texts(
        "Nothing conclusive on %(num)s operator now", "Nothing conclusive on %(num)s operators now", measured
    ), "inconclusive"


def _operator(cell: Cell) -> tuple[str, str]:
    return operator_key(cell.line), cell.line.country


def _sentence(own: list[Cell], language: Language) -> OperatorSentence:
    found: dict[str, list[str]] = {}
    for cell in own:
        technique = words.technique(cell.interference)
        if cell.verdict == "interfered" and technique:
            targets = found.setdefault(language.text(technique.label), [])
            if target_name(cell.target) not in targets:
                targets.append(target_name(cell.target))
    newest = max(own, key=lambda c: c.last)
    return OperatorSentence(
        operator=operator_name(newest.line, language),
        access=words.access(newest.line.access, language),
        tests=len(own),
        interfered=sum(c.verdict == "interfered" for c in own),
        unsure=sum(c.verdict == "inconclusive" for c in own),
        found={label: sorted(targets) for label, targets in sorted(found.items())},
    )


def _columns(cells: Sequence[Cell], language: Language) -> list[Column]:
    newest: dict[str, Cell] = {}
    for cell in cells:
        if cell.column not in newest or cell.last > newest[cell.column].last:
            newest[cell.column] = cell
    columns = [
        Column(key, operator_name(cell.line, language), words.access(cell.line.access, language), network(cell.line))
        for key, cell in newest.items()
    ]
    return sorted(columns, key=lambda c: (newest[c.key].line.country, c.operator, c.access, c.key))


def network(line: Line) -> str:
    """AS number and country, as far as they are known."""
    return " · ".join(part for part in (f"AS{line.asn}" if line.asn else "", line.country) if part)


def _rows(
    name: str, rows: dict[tuple[str, str], dict[str, Cell]], order: list[str], now: int, language: Language
) -> list[Row]:
    return [
        Row(
            test=words.measurement(measurement, language),
            asked=asked if asked != name else "",
            cells=[view(own[key], now, language) if key in own else None for key in order],
        )
        for (measurement, asked), own in sorted(rows.items())
    ]


def _location(cell: Cell) -> Location | None:
    return cell.interference.location if cell.interference else None
