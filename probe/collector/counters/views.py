"""From readings to what the page says of a counter, and the same as JSON. Pure; times in ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from markupsafe import Markup

from probe.collector import instants
from probe.collector.counters.change import HOUR, SPAN, Change, over
from probe.collector.counters.ledger import Reading
from probe.collector.counters.suspicion import Flag
from probe.collector.languages.language import Language, mark
from probe.collector.views import Time
from probe.model.config import CounterConfig

SCHEMA = "colibri.counters/1"
SHOWN = 7 * instants.DAY
"""What the curve spans, and how far back changes are judged."""
WIDTH, HEIGHT = 600, 100
_POINTS = 300

WAVE = mark(
    "From %(since)s to %(until)s: %(by)s. About %(usual)s was to be expected, give or take %(spread)s. After it came "
    "%(ebb)s more of the same; had people come one after the other, it would have been %(due)s at the least. A "
    "clean-up by the site looks the same."
)
EVEN = mark(
    "From %(since)s to %(until)s: %(by)s, at a pace too even for people. From reading to reading it varied by %(ebb)s; "
    "people vary by %(spread)s at the least. A site that shows an estimate looks the same."
)


class Day(msgspec.Struct, frozen=True):
    """The last reading of a day."""

    when: Time
    value: str


class CounterView(msgspec.Struct, frozen=True, kw_only=True):
    """One counter in words. ``change`` and ``pace`` are empty where there are too few readings."""

    name: str
    label: str
    url: str
    host: str
    value: str
    rounded: str
    at: Time | None
    change: str
    share: str
    since: Time | None
    whole: bool
    pace: str
    curve: str
    days: list[Day]
    flags: list[Markup]
    failing: bool


def view(
    config: CounterConfig, readings: Sequence[Reading], flags: Sequence[Flag], failing: bool, say: Language
) -> CounterView:
    """A counter's part of the page. ``readings``: those to be shown, oldest first."""
    last = readings[-1] if readings else None
    change = _told(over(readings, SPAN))
    pace = _told(over(readings, HOUR))
    return CounterView(
        name=config.name, label=config.label or config.name, url=config.url, host=urlsplit(config.url).hostname or "",
        value=say.number(last.value) if last else "",
        rounded=say.number(last.step) if last and last.step > 1 else "",
        at=Time.of(last.at, say) if last else None,
        change=signed(say, change.by) if change else "",
        share=signed_share(say, change.share) if change and change.share is not None else "",
        since=Time.of(change.then.at, say) if change else None,
        whole=bool(change and change.whole),
        pace=signed(say, round(pace.per_minute, 1)) if pace else "",
        curve=curve(readings), days=_days(readings, say), flags=[sentence(flag, say) for flag in flags],
        failing=failing,
    )  # fmt: skip


def signed(say: Language, number: float) -> str:
    """``+1,234``, ``−5``; a true minus, which no hyphen can be taken for."""
    sign = "+" if number > 0 else "−" if number < 0 else ""
    return f"{sign}{say.number(abs(number))}"


def signed_share(say: Language, share: float) -> str:
    """``−12%``."""
    sign = "+" if share > 0 else "−" if share < 0 else ""
    return f"{sign}{say.percent(abs(share))}"


def sentence(flag: Flag, say: Language) -> Markup:
    """Why a change does not look like people's."""
    message = WAVE if flag.kind == "wave" else EVEN
    return say.html(
        message, since=say.date(flag.since), until=say.date(flag.until), by=signed(say, flag.by),
        usual=signed(say, round(flag.usual)), spread=say.number(_shown(flag.spread)), ebb=say.number(_shown(flag.ebb)),
        due=say.number(_shown(flag.due)),
    )  # fmt: skip


def curve(readings: Sequence[Reading]) -> str:
    """The points of an SVG polyline, WIDTH by HEIGHT; empty if there is nothing to draw."""
    if len(readings) < 2:
        return ""
    first, last = readings[0].at, readings[-1].at
    low, high = min(r.value for r in readings), max(r.value for r in readings)
    some = readings[:: max(1, len(readings) // _POINTS)]
    points = [*some, readings[-1]] if some[-1] is not readings[-1] else some
    return " ".join(
        f"{(r.at - first) / (last - first) * WIDTH:.1f},{HEIGHT - (r.value - low) / max(1, high - low) * HEIGHT:.1f}"
        for r in points
    )


def json(config: CounterConfig, readings: Sequence[Reading], flags: Sequence[Flag], failing: bool) -> dict[str, Any]:
    """A counter as JSON; null where nothing was read."""
    last = readings[-1] if readings else None
    change, pace = _told(over(readings, SPAN)), _told(over(readings, HOUR))
    return {
        "name": config.name, "label": config.label or config.name, "url": config.url,
        "value": last.value if last else None, "step": last.step if last else None,
        "at": instants.to_text(last.at) if last else None, "failing": failing,
        "change": {
            "by": change.by, "share": change.share, "since": instants.to_text(change.then.at), "whole": change.whole
        } if change else None,
        "per_minute": pace.per_minute if pace else None,
        "flags": [
            {**msgspec.to_builtins(flag), "since": instants.to_text(flag.since), "until": instants.to_text(flag.until)}
            for flag in flags
        ],
    }  # fmt: skip


def _told(change: Change | None) -> Change | None:
    """A change between two readings; none from a single one to itself."""
    return change if change is not None and change.then is not change.now else None


def _days(readings: Sequence[Reading], say: Language) -> list[Day]:
    last = {reading.at // instants.DAY: reading for reading in readings}
    return [Day(Time.of(reading.at, say), say.number(reading.value)) for reading in last.values()]


def _shown(number: float) -> float:
    """Whole from ten on, one decimal below: more would claim what nobody knows. Never less than nothing."""
    return max(0.0, float(round(number)) if number >= 10 else round(number, 1))
