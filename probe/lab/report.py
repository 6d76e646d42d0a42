"""The score as numbers: precision, recall and localisation by technique, false alarms by confounder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from probe import __version__
from probe.lab.score import Observation


class TechniqueRow(msgspec.Struct, frozen=True):
    """``expected``: runs in which it had to be found; ``found``: of these; ``claimed``: all runs that claim it.

    ``to_place``: of those found, where the router is known; ``placed``: of these, a link was given and contains it;
    ``exact``: of these, it is the link into that router; ``widest``: hops between the ends of the widest link given.
    """

    technique: str
    expected: int
    found: int
    claimed: int
    to_place: int
    placed: int
    exact: int
    widest: int

    @property
    def precision(self) -> float | None:
        """Share of the claims that are true."""
        return _share(self.found, self.claimed)

    @property
    def recall(self) -> float | None:
        """Share of the interference that is found."""
        return _share(self.found, self.expected)

    @property
    def localisation(self) -> float | None:
        """Share of the finds that name the right link; none named is wrong."""
        return _share(self.placed, self.to_place)


class ScenarioRow(msgspec.Struct, frozen=True):
    """One expectation over all its runs. ``verdicts``: how often each came out ("error": none did)."""

    scenario: str
    confounder: bool
    operator: str
    measurement: str
    target: str
    runs: int
    right: int
    placed: int | None
    verdicts: dict[str, int]
    seconds: float
    rules: list[str]
    errors: list[str]


class Score(msgspec.Struct, frozen=True):
    """The whole score. ``false_alarms``: runs that claim interference where there is none, of ``harmless`` runs."""

    runs: int
    right: int
    harmless: int
    false_alarms: int
    techniques: list[TechniqueRow]
    scenarios: list[ScenarioRow]


def summarise(observations: Sequence[Observation]) -> Score:
    """Count."""
    harmless = [o for o in observations if "interfered" not in o.expected.verdict]
    names = sorted({o.expected.technique for o in observations if o.expected.technique}
                   | {o.outcome.technique for o in observations if o.outcome.technique})
    groups: dict[tuple[str, str], list[Observation]] = {}
    for one in observations:
        groups.setdefault((one.scenario, repr(one.expected)), []).append(one)
    return Score(
        runs=len(observations),
        right=sum(o.technique_right for o in observations),
        harmless=len(harmless),
        false_alarms=sum(o.outcome.verdict == "interfered" for o in harmless),
        techniques=[_technique(name, observations) for name in names],
        scenarios=[_scenario(group) for group in groups.values()],
    )


def to_json(observations: Sequence[Observation]) -> bytes:
    """Score and every single observation."""
    return msgspec.json.format(msgspec.json.encode({"score": summarise(observations), "observations": observations}))


def to_markdown(observations: Sequence[Observation]) -> str:
    """Score as tables."""
    score = summarise(observations)
    lines = [
        "# The lab's score",
        "",
        f"Colibri {__version__}, written by `make lab-score`. Every line is one expectation of one scenario,",
        "measured that often in a lab of its own (`probe/lab/scenarios/`); *right* is verdict and technique, *link*",
        "the reported link when it contains the true router, *s* the median duration in seconds.",
        "",
        f"- **{score.right} of {score.runs} runs as expected.**",
        f"- **{score.false_alarms} false alarms in {score.harmless} runs where nothing interferes.**",
        "",
        "| technique | expected | found | claimed | precision | recall | right link | exact | widest |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.technique} | {row.expected} | {row.found} | {row.claimed} | {_percent(row.precision)} "
        f"| {_percent(row.recall)} | {_percent(row.localisation)} | {row.exact}/{row.to_place} | {row.widest} |"
        for row in score.techniques
    ]
    for confounder, title in ((False, "Interference"), (True, "Confounders")):
        lines += ["", f"## {title}", "", "| scenario | line | measurement | right | link | verdicts | s |",
                  "|---|---|---|---|---|---|---|"]
        lines += [_line(row) for row in score.scenarios if row.confounder is confounder]
    return "\n".join(lines) + "\n"


def _technique(name: str, observations: Iterable[Observation]) -> TechniqueRow:
    claimed = [o for o in observations if o.outcome.verdict == "interfered" and o.outcome.technique == name]
    expected = [o for o in observations if o.expected.technique == name]
    found = [o for o in expected if o.outcome.verdict == "interfered" and o.outcome.technique == name]
    # A scenario that leaves the technique open neither confirms nor refutes a claim.
    counted = [o for o in claimed if o.expected.technique is not None or "interfered" not in o.expected.verdict]
    to_place = [o for o in found if o.expected.at]
    return TechniqueRow(
        name, len(expected), len(found), len(counted), len(to_place), sum(o.place_right for o in to_place),
        sum(o.place_exact for o in to_place), max((o.width for o in to_place), default=0),
    )  # fmt: skip


def _scenario(group: Sequence[Observation]) -> ScenarioRow:
    first = group[0]
    counts = Counter(o.outcome.verdict or "error" for o in group)
    seconds = sorted(o.outcome.seconds for o in group)
    return ScenarioRow(
        first.scenario, first.confounder, first.expected.operator, first.expected.measurement, first.expected.target,
        len(group), sum(o.technique_right for o in group),
        sum(o.place_right for o in group) if first.expected.at else None,
        dict(counts), seconds[len(seconds) // 2],
        sorted({o.outcome.rule for o in group if o.outcome.rule}),
        sorted({o.outcome.error for o in group if o.outcome.error}),
    )  # fmt: skip


def _line(row: ScenarioRow) -> str:
    verdicts = ", ".join(f"{verdict} {count}" for verdict, count in sorted(row.verdicts.items()))
    placed = "" if row.placed is None else f"{row.placed}/{row.runs}"
    return (f"| {row.scenario} | {row.operator} | {row.measurement} {row.target} | {row.right}/{row.runs} | {placed} "
            f"| {verdicts} | {row.seconds:.1f} |")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
