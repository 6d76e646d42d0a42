"""What the daemon tells the home's own page, and the little that the page may ask of it. It never leaves the device.

One JSON object a line over the socket of ``[page]``: a request, then its answer. No request can name a target.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.model.finding import Clock, Count, Instant, Line, Name, Technique, Text, Token, Verdict

Holder = Literal["home", "operator"]
"""Who keeps a probe from measuring: its household, or whoever runs the fleet."""
Refusal = Literal["", "code", "later", "operator"]
"""Why nothing was changed: a wrong code, too many wrong ones, or a pause that is the operator's to lift."""

MOST_FINDINGS = 40
"""Most findings that are told, the newest first."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The last finding on one target by one measurement. ``reasons`` are English sentences."""

    measurement: Token
    target: Text
    group: Name
    category: Name
    verdict: Verdict
    technique: Technique | None
    at: Instant
    reasons: list[Text]


class Category(msgspec.Struct, frozen=True):
    """A kind of sensitive targets on this device's lists: how many, and whether they are measured."""

    name: Name
    targets: Count
    on: bool


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All that the page shows. ``enrolling``: the device waits for its certificate and measures nothing yet."""

    probe: str
    software: Name
    since: Instant
    now: Instant
    line: Line
    link: Literal["up", "down", "unknown"]
    clock: Clock
    enrolling: bool = False
    feed: Literal["none", "connected", "trouble"]
    trouble: str
    waiting: Count
    dropped: Count
    planned: Count
    bytes_per_day: Count
    paused: dict[Holder, Instant]
    counts: dict[str, Count]
    findings: list[Told]
    categories: list[Category]
    stalled: list[str]


class Look(msgspec.Struct, tag_field="command", tag="look", forbid_unknown_fields=True, frozen=True):
    """Tell everything: a :class:`View`."""


class Change(msgspec.Struct, tag_field="command", tag="change", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Pause or resume, opt in or out, by somebody who knows the device's code: a :class:`Changed`.

    ``paused`` null: as it is. ``categories``: those named, on or off. ``source``: who asks, to count wrong codes.
    """

    code: Annotated[str, msgspec.Meta(max_length=64)]
    paused: bool | None = None
    categories: Annotated[dict[Name, bool], msgspec.Meta(max_length=100)] = {}
    source: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Changed(msgspec.Struct, frozen=True):
    """Whether it was done (``refused`` is empty); if not, why. ``wait_s``: seconds until another code is heard."""

    refused: Refusal
    wait_s: float = 0.0


HomeRequest = Look | Change
