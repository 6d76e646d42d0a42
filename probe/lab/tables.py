"""The score as tables, for the page that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from probe import __version__
from probe.lab.kinds import Impair
from probe.lab.report import ScenarioRow, Score, TechniqueRow, share_of, summarise
from probe.lab.score import Observation
from probe.measurements._judge import wilson_lower


def to_markdown(observations: Sequence[Observation]) -> str:
    """Score as tables."""
    score = summarise(observations)
    lines = [*_head(score, observations), *_techniques(score.techniques)]
    lines += [
        "",
        "## Interference, by technique and place",
        "",
        "*Hop*: how far from the home, whose router is 1; *variants*: scenarios, each doing it in a manner of its own.",
        "",
        "| technique | place | hop | variants | runs | found | recall | right link | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.technique} | {row.place} | {row.hop or ''} | {row.variants} | {row.runs} | {row.found} "
        f"| {_percent(share_of(row.found, row.runs))} | {_percent(share_of(row.placed, row.to_place))} "
        f"| {row.seconds} |"
        for row in score.places
    ]
    lines += ["", "## Confounders", "", "| scenario | runs | accused | verdicts | s |", "|---|---|---|---|---|"]
    lines += [f"| {row.scenario} | {row.runs} | {row.accused} | {_verdicts(row.verdicts)} | {row.seconds} |"
              for row in score.confounders]  # fmt: skip
    lines += ["", "## Every expectation", "", "| scenario | line | measurement | right | link | verdicts | s |",
              "|---|---|---|---|---|---|---|"]
    lines += map(_line, score.scenarios)
    return "\n".join(lines) + "\n"


def _head(score: Score, observations: Sequence[Observation]) -> list[str]:
    interfering = len({o.scenario for o in observations if "interfered" in o.expected.verdict})
    deceiving = len({o.scenario for o in observations if o.confounder})
    harmless, alarms = score.harmless, score.false_alarms
    below = 1 - wilson_lower(harmless - alarms, harmless)
    return [
        "# The lab's score",
        "",
        f"Colibri {__version__}, written by `colibri lab score`: {interfering} scenarios with interference,",
        f"{deceiving} made to deceive (`probe/lab/scenarios/`). *Right* is verdict and technique, *link* the reported",
        "link when it contains the true router, *s* the 5th, 50th and 95th percentile of the duration in seconds",
        "(without the start of the program).",
        *_weather([o.line for o in observations if o.line is not None]),
        "",
        f"- **{score.right} of {score.runs} runs as expected.**",
        f"- **{alarms} false alarms in {harmless} runs where nothing interferes**, {score.confounding} of them made to",
        f"  deceive (95 % interval: below {below:.2%}).",
        "",
    ]


def _weather(lines: Sequence[Impair]) -> list[str]:
    """What the access lines were like besides."""
    if not lines:
        return []
    loss = [one.loss for one in lines]
    jitter, reorder = max(one.jitter for one in lines), max(one.reorder for one in lines)
    return [
        "",
        f"Every run had an access line of its own: loss {min(loss):.1%} to {max(loss):.1%} each way,",
        f"jitter up to {jitter * 1000:.0f} ms, overtaking up to {reorder:.1%}.",
    ]


def _techniques(rows: Iterable[TechniqueRow]) -> list[str]:
    return [
        "| technique | expected | found | claimed | precision | recall | right link | exact | widest |",
        "|---|---|---|---|---|---|---|---|---|",
        *(f"| {row.technique} | {row.expected} | {row.found} | {row.claimed} | {_percent(row.precision)} "
          f"| {_percent(row.recall)} | {_percent(row.localisation)} | {row.exact}/{row.to_place} | {row.widest} |"
          for row in rows),
    ]  # fmt: skip


def _line(row: ScenarioRow) -> str:
    placed = "" if row.placed is None else f"{row.placed}/{row.runs}"
    return (f"| {row.scenario} | {row.operator} | {row.measurement} {row.target} | {row.right}/{row.runs} | {placed} "
            f"| {_verdicts(row.verdicts)} | {row.seconds} |")


def _verdicts(counts: dict[str, int]) -> str:
    return ", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items()))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
