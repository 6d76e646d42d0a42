"""Two weeks that happened, told as data for the lab: who has which line, what is measured, what is cut when.

After Algeria 2019 and 2021 (a hosting company made to vanish on one operator) and Morocco 2016 (calls cut on all
operators, mobile lines first, texts left alone). Operators, addresses and dates are the lab's, not theirs.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.lab.kinds import Box, Recognise, RouteAway
from probe.model.errors import UsageError
from probe.model.finding import Line

HOUR = 3_600_000
START = 1_767_571_200_000  # Monday, 5 January 2026, 00:00 UTC
DAYS = 7


class Task(msgspec.Struct, frozen=True):
    """What every home measures. ``hit``: whether the story's interference is aimed at it."""

    measurement: str
    target: str
    group: str
    hit: bool
    options: dict[str, str] = {}


class Cut(msgspec.Struct, frozen=True):
    """Hours since the start of the week between which a line is cut, in a ``share`` of the measurements."""

    since: float
    until: float
    share: float = 1.0


class Home(msgspec.Struct, frozen=True):
    """So many homes on a line: the lab's operator that they stand behind, and how they tell their line."""

    operator: str
    line: Line
    homes: int
    cut: Cut | None = None


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """A week. ``boxes``: what the lab does where a line is cut; ``every``: ms between two measurements of a home."""

    name: Literal["algeria", "morocco"]
    described: str
    boxes: tuple[Box, ...]
    homes: tuple[Home, ...]
    tasks: tuple[Task, ...]
    every: int = 4 * HOUR
    country: str

    @property
    def end(self) -> int:
        """The last instant of the week, ms."""
        return START + DAYS * 24 * HOUR


_COMPANY = ("198.51.100.0/25", "192.0.2.0/25", "2001:db8:b0::/47")
_SIBLING = {"siblings": "203.0.113.10"}

ALGERIA = Story(
    name="algeria", country="DZ",
    described="One operator makes a hosting company vanish for its own subscribers, from Tuesday to Saturday.",
    boxes=(RouteAway(at="oran.core", prefixes=_COMPANY),),
    homes=(
        Home("oran", Line("Oran Net", 64502, "DZ", "fixed"), 3, Cut(33, 129)),
        Home("sale", Line("Djurdjura Mobile", 64503, "DZ", "mobile"), 2),
        Home("atlas", Line("Rhône Fibre", 64501, "FR", "fixed"), 2),
    ),
    tasks=(
        Task("blackhole", "198.51.100.10", "octenium", hit=True, options=_SIBLING),
        Task("blackhole", "192.0.2.10", "octenium", hit=True, options=_SIBLING),
        Task("blackhole", "203.0.113.10", "press", hit=False, options={"siblings": "203.0.113.180"}),
    ),
)  # fmt: skip
MOROCCO = Story(
    name="morocco", country="MA",
    described="Three operators cut calls, the mobile one two days before the others, most of the time; texts work.",
    boxes=(
        Recognise(at="sale.agg", match=("rtp",)), Recognise(at="atlas.core", match=("rtp",)),
        Recognise(at="oran.core", match=("rtp",)),
    ),
    homes=(
        Home("sale", Line("Chellah Mobile", 64503, "MA", "mobile"), 3, Cut(26, 140, 0.8)),
        Home("atlas", Line("Atlas Telecom", 64501, "MA", "fixed"), 2, Cut(74, 140, 0.8)),
        Home("oran", Line("Moulouya Net", 64502, "MA", "fixed"), 2, Cut(78, 140, 0.8)),
    ),
    tasks=(
        Task("voip", "203.0.113.190", "voip", hit=True),
        Task("tcp_reset", "https://octenium.example/", "chat", hit=False, options={"address": "198.51.100.10"}),
    ),
)  # fmt: skip
STORIES: dict[str, Story] = {story.name: story for story in (ALGERIA, MOROCCO)}


def find(name: str) -> Story:
    """A story by its name. Raises UsageError."""
    for story in STORIES.values():
        if story.name == name:
            return story
    raise UsageError(f"there is no story {name!r}; there are {', '.join(STORIES)}")
