"""The score as numbers: precision, recall and localisation by technique, false alarms by confounder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from probe.lab.score import Observation


class Spread(msgspec.Struct, frozen=True):
    """Durations in seconds: the 5th, 50th and 95th percentile."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> Spread:
        """Of some runs, at least one."""
        seconds = sorted(o.outcome.seconds for o in observations)
        last = len(seconds) - 1
        return cls(*(seconds[round(share * last)] for share in (0.05, 0.5, 0.95)))

    def __str__(self) -> str:
        return f"{self.low:.0f}–{self.median:.0f}–{self.high:.0f}"


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
        return share_of(self.found, self.claimed)

    @property
    def recall(self) -> float | None:
        """Share of the interference that is found."""
        return share_of(self.found, self.expected)

    @property
    def localisation(self) -> float | None:
        """Share of the finds that name the right link; none named is wrong."""
        return share_of(self.placed, self.to_place)


class PlaceRow(msgspec.Struct, frozen=True):
    """A technique at one kind of place, ``hop`` hops from the home: ``variants`` scenarios of it, all runs together."""

    technique: str
    place: str
    hop: int
    variants: int
    runs: int
    found: int
    to_place: int
    placed: int
    seconds: Spread


class ConfounderRow(msgspec.Struct, frozen=True):
    """An honest line that looks guilty. ``accused``: runs that say ``interfered``."""

    scenario: str
    runs: int
    accused: int
    verdicts: dict[str, int]
    seconds: Spread


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
    seconds: Spread
    rules: list[str]
    errors: list[str]


class Score(msgspec.Struct, frozen=True):
    """The whole score. ``false_alarms``: runs that claim interference where there is none, of ``harmless`` runs, of
    which ``confounding`` are in scenarios made to deceive."""

    runs: int
    right: int
    harmless: int
    confounding: int
    false_alarms: int
    techniques: list[TechniqueRow]
    places: list[PlaceRow]
    confounders: list[ConfounderRow]
    scenarios: list[ScenarioRow]


def summarise(observations: Sequence[Observation]) -> Score:
    """Count."""
    harmless = [o for o in observations if "interfered" not in o.expected.verdict]
    names = sorted({o.expected.technique for o in observations if o.expected.technique}
                   | {o.outcome.technique for o in observations if o.outcome.technique})
    groups = _grouped(observations, lambda o: (o.scenario, repr(o.expected)))
    return Score(
        runs=len(observations),
        right=sum(o.technique_right for o in observations),
        harmless=len(harmless),
        confounding=sum(o.confounder for o in harmless),
        false_alarms=sum(o.outcome.verdict == "interfered" for o in harmless),
        techniques=[_technique(name, observations) for name in names],
        places=_places(observations),
        confounders=[_confounder(name, group) for name, group in _grouped(
            [o for o in harmless if o.confounder], lambda o: o.scenario).items()],
        scenarios=[_scenario(group) for group in groups.values()],
    )


def to_json(observations: Sequence[Observation]) -> bytes:
    """Score and every single observation."""
    return msgspec.json.format(msgspec.json.encode({"score": summarise(observations), "observations": observations}))


def _places(observations: Iterable[Observation]) -> list[PlaceRow]:
    named = [o for o in observations if o.expected.technique and o.expected.verdict == ("interfered",)]
    groups = _grouped(named, lambda o: (o.expected.technique or "", o.true_ttl, _place(o.expected.at)))
    rows = []
    for (technique, hop, place), group in sorted(groups.items()):
        found = [o for o in group if o.technique_right]
        to_place = [o for o in found if o.expected.at]
        variants = len({o.scenario for o in group})
        rows.append(PlaceRow(technique, place, hop, variants, len(group), len(found), len(to_place),
                             sum(o.place_right for o in to_place), Spread.of(group)))  # fmt: skip
    return rows


def _place(node: str) -> str:
    """What kind of node it is, whoever's."""
    return node.rpartition(".")[2]


def _confounder(name: str, group: Sequence[Observation]) -> ConfounderRow:
    accused = sum(o.outcome.verdict == "interfered" for o in group)
    verdicts = Counter(o.outcome.verdict or "error" for o in group)
    return ConfounderRow(name, len(group), accused, dict(verdicts), Spread.of(group))


_K = TypeVar("_K")


def _grouped(observations: Iterable[Observation], key: Callable[[Observation], _K]) -> dict[_K, list[Observation]]:
    groups: dict[_K, list[Observation]] = {}
    for one in observations:
        groups.setdefault(key(one), []).append(one)
    return groups


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
    return ScenarioRow(
        first.scenario, first.confounder, first.expected.operator, first.expected.measurement, first.expected.target,
        len(group), sum(o.technique_right for o in group),
        sum(o.place_right for o in group) if first.expected.at else None,
        dict(counts), Spread.of(group),
        sorted({o.outcome.rule for o in group if o.outcome.rule}),
        sorted({o.outcome.error for o in group if o.outcome.error}),
    )  # fmt: skip


def share_of(part: int, whole: int) -> float | None:
    """A share, None of nothing."""
    return part / whole if whole else None
