"""Timelines as pictures."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.dossier.picture import HEIGHT, WIDTH, bar, key, lane
from probe.collector.timelines import State

HEAD = "data:image/svg+xml;base64,"


def drawn(address: str) -> list[dict[str, str]]:
    """The blocks of a picture."""
    assert address.startswith(HEAD)
    root = ET.fromstring(base64.b64decode(address.removeprefix(HEAD)))  # noqa: S314 - made by our own code
    return [dict(one.attrib) for one in root if one.tag.endswith("rect")]


def test_a_lane_shows_when_and_what() -> None:
    blocks = drawn(lane([("clean", 0, 50, 0, 4), ("interfered", 50, 100, 4, 4)], 0, 200))
    assert [(float(one["x"]), float(one["width"])) for one in blocks] == [(0, 250), (250, 250)]
    assert float(blocks[1]["height"]) == HEIGHT > float(blocks[0]["height"])


def test_marks_stand_where_they_belong() -> None:
    root = ET.fromstring(base64.b64decode(lane([], 0, 200, [50, 100]).removeprefix(HEAD)))  # noqa: S314 - our own
    lines = [one.attrib["d"] for one in root if one.tag.endswith("path")]
    assert lines[1:] == [f"M250.0 0V{HEIGHT}", f"M500.0 0V{HEIGHT}"]


def test_states_are_told_apart_without_colour() -> None:
    shapes = {(one["y"], one["height"], "dash" if "stroke-dasharray" in one else "", one["fill"] == "none")
              for state in get_args(State) for one in drawn(key(state))}  # fmt: skip
    assert len(shapes) == len(get_args(State))


@given(st.lists(st.integers(-50, 250), min_size=2, max_size=20, unique=True))
def test_nothing_is_drawn_outside(times: list[int]) -> None:
    runs: list[tuple[State, int, int, int, int]] = [("down", a, b, 0, 1) for a, b in pairwise(sorted(times))]
    for one in drawn(lane(runs, 0, 200)):
        assert float(one["x"]) >= 0
        assert float(one["x"]) + float(one["width"]) <= WIDTH + 1.0


@pytest.mark.parametrize(("share", "tall"), [(0, 0), (0.5, 19), (1, 38), (1.7, 38), (-1, 0)])
def test_a_share_fills_its_column(share: float, tall: float) -> None:
    _, filled = drawn(bar(share))
    assert float(filled["height"]) == tall
