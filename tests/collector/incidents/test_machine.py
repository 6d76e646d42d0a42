"""The states of a series and what moves them."""

from __future__ import annotations

from itertools import product

import pytest

from probe.collector.incidents.machine import Phase, Sign, sign, step
from probe.collector.incidents.model import Stance


@pytest.mark.parametrize(("phase", "what"), list(product(Phase, Sign)))
def test_the_table(phase: Phase, what: Sign) -> None:
    """Only these moves exist: whatever else is said, the phase stays."""
    moves = {
        (Phase.QUIET, Sign.BAD): Phase.OPEN, (Phase.SUSPECTED, Sign.BAD): Phase.OPEN,
        (Phase.QUIET, Sign.ODD): Phase.SUSPECTED, (Phase.SUSPECTED, Sign.GOOD): Phase.QUIET,
        (Phase.OPEN, Sign.GOOD): Phase.QUIET,
    }  # fmt: skip
    assert step(phase, what) is moves.get((phase, what), phase)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("", Sign.SILENT),
        ("g", Sign.GOOD),
        ("gggg", Sign.GOOD),
        ("gggb", Sign.GOOD),  # one of four
        ("ggb", Sign.ODD),
        ("b", Sign.ODD),  # a home alone is no incident
        ("bm", Sign.ODD),
        ("bb", Sign.BAD),
        ("bbgg", Sign.BAD),
        ("bbggg", Sign.ODD),
        ("bbggggg", Sign.UNCLEAR),
        ("gm", Sign.UNCLEAR),
        ("mm", Sign.UNCLEAR),
    ],
)
def test_what_homes_of_equal_weight_say_together(words: str, what: Sign) -> None:
    stances: dict[str, Stance] = {"g": "good", "b": "bad", "m": "mixed"}
    said = {f"home{i}": stances[word] for i, word in enumerate(words)}
    assert sign(said, dict.fromkeys(said, 0.64)) is what


def test_weight_counts_and_not_heads() -> None:
    words: dict[str, Stance] = {"a": "bad", "b": "bad", "c": "good", "d": "good"}
    assert sign(words, {"a": 0.05, "b": 0.05, "c": 1, "d": 1}) is Sign.GOOD
    assert sign(words, {"a": 1, "b": 1, "c": 0.05, "d": 0.05}) is Sign.BAD
