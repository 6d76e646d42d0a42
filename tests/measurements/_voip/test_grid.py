"""The 2×2: which pattern of failures is explained by what, and which by nothing."""

from __future__ import annotations

from random import Random

import pytest

from probe.measurements._voip.grid import KNOWN, PROTOCOLS, WORDS, Grid

QUESTIONS = 14
CELLS = [(True, False), (True, True), (False, False), (False, True)]


def grid(*scores: list[float]) -> Grid:
    """Scores of known-real, known-twin, random-real, random-twin."""
    made = Grid("sip")
    for (known, twin), cell in zip(CELLS, scores, strict=True):
        for score in cell:
            made.add(known, twin, score)
    return made


FINE, LOST = [0.0] * 10, [1.0] * 10


@pytest.mark.parametrize(
    ("cells", "causes"),
    [
        ((FINE, FINE, FINE, FINE), []),
        ((LOST, LOST, LOST, LOST), []),
        ((LOST, FINE, LOST, FINE), ["payload"]),
        ((LOST, FINE, FINE, FINE), ["payload_on_port"]),
        ((LOST, LOST, FINE, FINE), ["port"]),
        ((LOST, LOST, LOST, FINE), ["port", "payload"]),
        ((FINE, LOST, FINE, FINE), ["port"]),
        ((FINE, LOST, FINE, LOST), []),
        ((LOST[:5] + FINE[:5], FINE, LOST[:5] + FINE[:5], FINE), ["payload"]),
        ((LOST[:2] + FINE[:8], FINE, LOST[:2] + FINE[:8], FINE), []),
        ((LOST[:5], FINE[:5], LOST[:5], FINE[:5]), ["payload"]),
        ((LOST[:3], FINE[:3], LOST[:3], FINE[:3]), []),
    ],
)
def test_what_explains_it(cells: tuple[list[float], ...], causes: list[str]) -> None:
    assert sorted(why.cause for why in grid(*cells).explain(QUESTIONS)) == sorted(causes)


def test_a_rise_too_small_to_be_heard_is_not_one() -> None:
    low, high = [0.01] * 10, [0.04] * 10
    assert grid(high, low, high, low).explain(QUESTIONS) == []
    worse = [0.4] * 10
    (why,) = grid(worse, low, worse, low).explain(QUESTIONS)
    assert why.cause == "payload"
    assert why.rise == pytest.approx(0.39)


def test_a_share_of_calls_without_any_sound_is_seen_among_ordinary_losses() -> None:
    """Ranks alone do not: here the calls that did go through happened to lose less than their twins."""
    heard, twins = [0.02] * 7, [0.06] * 15
    (why,) = grid(LOST[:8] + heard, twins, LOST[:7] + heard + heard[:1], twins).explain(28)
    assert why.cause == "payload"
    assert (why.worse, why.better) == ((15, 30), (0, 30))
    assert grid(LOST[:3] + heard, twins, LOST[:3] + heard, twins).explain(28) == []


def test_what_fails_on_every_port_is_said_to() -> None:
    on_every_port = grid(LOST[:8] + FINE[:2], FINE, LOST[:4] + FINE[:6], FINE)
    assert [why.cause for why in on_every_port.explain(QUESTIONS)] == ["payload"]
    on_one = grid(LOST[:8] + FINE[:2], FINE, LOST[:1] + FINE[:9], FINE)
    assert [why.cause for why in on_one.explain(QUESTIONS)] == ["payload_on_port"]


def test_random_loss_is_explained_by_nothing() -> None:
    random = Random(7)
    for _ in range(2000):
        share = random.uniform(0, 0.2)
        cells = [[float(random.random() < share) for _ in range(10)] for _ in CELLS]
        for why in grid(*cells).explain(QUESTIONS):
            pytest.fail(f"{cells}: {why}")


def test_of_a_hundred_grids_of_ordinary_streams_less_than_one_is_explained() -> None:
    random, explained = Random(7), 0
    for _ in range(1000):
        share = random.uniform(0, 0.5)
        cells = [[min(1.0, max(0.0, random.gauss(share, 0.2))) for _ in range(10)] for _ in CELLS]
        explained += bool(grid(*cells).explain(4))
    assert explained <= 10


def test_counting() -> None:
    one = grid([1.0, 0.0], [0.0], [0.6], [0.2, 0.0])
    assert one.failed() == (2, 6)
    assert one.failed(known=True, twin=False) == (1, 2)
    assert one.made == 1
    assert not one.dead
    assert not grid([1.0, *FINE[:4]], FINE[:5], FINE[:5], FINE[:5]).promising()
    assert grid(LOST[:2] + FINE[:8], FINE, FINE, FINE).promising()
    assert grid(LOST, LOST, LOST, LOST).dead
    assert not Grid("rtp").dead
    assert not Grid("rtp").promising()
    assert one.show()["random_twin"] == {"made": 2, "failed": 0, "loss": 0.1}


def test_every_protocol_has_a_port_and_words() -> None:
    assert set(KNOWN) == set(WORDS) == set(PROTOCOLS)
