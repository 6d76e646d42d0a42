"""From cells to what the page shows: columns, groups, rows and the sentences above them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from probe.collector import instants, words
from probe.collector.cells import Cell, operator_key
from probe.model.finding import Line, Location, Verdict

STALE = instants.DAY
"""A cell that nobody has measured for so long says nothing about now."""


class Time(msgspec.Struct, frozen=True):
    """An instant for people (UTC) and for machines."""

    text: str
    iso: str

    @classmethod
    def of(cls, at: int) -> Time:
        """From ms."""
        moment = instants.moment(at)
        return cls(f"{moment.day} {moment:%b %Y, %H:%M} UTC", instants.to_text(at))


class CellView(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the table. ``place`` is empty where nothing was located."""

    key: str
    verdict: Verdict
    label: str
    technique: str
    place: str
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
    """A target with its tests."""

    name: str
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


class Summary(msgspec.Struct, frozen=True):
    """The sentences at the top. ``state`` sets their colour."""

    headline: str
    state: Verdict
    operators: list[OperatorSentence]


class Monitor(msgspec.Struct, frozen=True):
    """The whole page. ``change``: the newest change that it shows."""

    summary: Summary
    columns: list[Column]
    groups: list[Group]
    change: int


def monitor(cells: Sequence[Cell], now: int) -> Monitor:
    """Arrange the cells. ``now`` in ms."""
    columns = _columns(cells)
    order = [column.key for column in columns]
    groups: dict[str, dict[str, dict[tuple[str, str], dict[str, Cell]]]] = {}
    for cell in cells:
        targets = groups.setdefault(words.group(cell.target.group), {})
        rows = targets.setdefault(target_name(cell), {})
        rows.setdefault((cell.measurement, cell.target.input), {})[cell.column] = cell
    return Monitor(
        summary=summary(cells, now),
        columns=columns,
        groups=[
            Group(title, [TargetRows(name, _rows(name, targets[name], order, now)) for name in sorted(targets)])
            for title, targets in sorted(groups.items(), key=lambda item: (item[0] == words.GROUPS[""], item[0]))
        ],
        change=max((cell.change for cell in cells), default=0),
    )


def target_name(cell: Cell) -> str:
    """What a target is called: its name, else what was asked for."""
    return cell.target.name or cell.target.input


def operator_name(line: Line) -> str:
    """What an operator is called."""
    return line.operator or (f"AS{line.asn}" if line.asn else "Unknown operator")


def view(cell: Cell, now: int) -> CellView:
    """One cell. ``now`` in ms."""
    technique = words.technique(cell.interference)
    return CellView(
        key=cell.key,
        verdict=cell.verdict,
        label=words.VERDICTS[cell.verdict].label,
        technique=technique.label if technique else "",
        place=words.place(_location(cell)),
        since=Time.of(cell.since),
        last=Time.of(cell.last),
        agree=cell.agree,
        probes=cell.probes,
        stale=now - cell.last > STALE,
        operator=operator_name(cell.line),
        access=words.ACCESS[cell.line.access],
    )


def summary(cells: Iterable[Cell], now: int) -> Summary:
    """What is found now, operator by operator. Cells that nobody measured lately don't count."""
    lines: dict[str, list[Cell]] = {}
    for cell in cells:
        if now - cell.last <= STALE:
            lines.setdefault(cell.column, []).append(cell)
    measured = {_operator(own[0]) for own in lines.values()}
    interfered = {_operator(c) for own in lines.values() for c in own if c.verdict == "interfered"}
    conclusive = any(c.verdict != "inconclusive" for own in lines.values() for c in own)
    operators = words.count(len(measured), "operator")
    state: Verdict
    if not measured:
        headline, state = "No measurement in the last 24 hours", "inconclusive"
    elif interfered:
        headline, state = f"Interference on {len(interfered)} of {operators} now", "interfered"
    elif conclusive:
        headline, state = f"No interference found on {operators} now", "clean"
    else:
        headline, state = f"Nothing conclusive on {operators} now", "inconclusive"
    sentences = [_sentence(own) for own in lines.values()]
    return Summary(headline, state, sorted(sentences, key=lambda s: (-s.interfered, s.operator, s.access)))


def _operator(cell: Cell) -> tuple[str, str]:
    return operator_key(cell.line), cell.line.country


def _sentence(own: list[Cell]) -> OperatorSentence:
    found: dict[str, list[str]] = {}
    for cell in own:
        technique = words.technique(cell.interference)
        if cell.verdict == "interfered" and technique:
            targets = found.setdefault(technique.label, [])
            if target_name(cell) not in targets:
                targets.append(target_name(cell))
    newest = max(own, key=lambda c: c.last)
    return OperatorSentence(
        operator=operator_name(newest.line),
        access=words.ACCESS[newest.line.access],
        tests=len(own),
        interfered=sum(c.verdict == "interfered" for c in own),
        unsure=sum(c.verdict == "inconclusive" for c in own),
        found={label: sorted(targets) for label, targets in sorted(found.items())},
    )


def _columns(cells: Sequence[Cell]) -> list[Column]:
    newest: dict[str, Cell] = {}
    for cell in cells:
        if cell.column not in newest or cell.last > newest[cell.column].last:
            newest[cell.column] = cell
    columns = [
        Column(key, operator_name(cell.line), words.ACCESS[cell.line.access], _network(cell.line))
        for key, cell in newest.items()
    ]
    return sorted(columns, key=lambda c: (newest[c.key].line.country, c.operator, c.access, c.key))


def _network(line: Line) -> str:
    return " · ".join(part for part in (f"AS{line.asn}" if line.asn else "", line.country) if part)


def _rows(name: str, rows: dict[tuple[str, str], dict[str, Cell]], order: list[str], now: int) -> list[Row]:
    return [
        Row(
            test=words.measurement(measurement),
            asked=asked if asked != name else "",
            cells=[view(own[key], now) if key in own else None for key in order],
        )
        for (measurement, asked), own in sorted(rows.items())
    ]


def _location(cell: Cell) -> Location | None:
    return cell.interference.location if cell.interference else None
