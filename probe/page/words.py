"""The page's words in three languages, from ``texts/*.toml``; a key that lacks is a fault of ours."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from probe.model.finding import Instant

NAMES = {"fr": "Français", "ar": "العربية", "en": "English"}
"""Languages by their own names, in the order in which they are offered."""
LANGUAGES = tuple(NAMES)
DIRECTIONS = {"fr": "ltr", "ar": "rtl", "en": "ltr"}
"""The direction in which each is written."""


class Words:
    """One language's words."""

    def __init__(self, code: str) -> None:
        self.code = code
        text = (Path(__file__).parent / "texts" / f"{code}.toml").read_text(encoding="utf-8")
        self._texts: dict[str, dict[str, str]] = tomllib.loads(text)

    def __call__(self, key: str, **fields: object) -> str:
        """The text of ``section.key``, with its braces filled in. Plain text: not yet fit for HTML."""
        section, _, name = key.partition(".")
        return self._texts[section][name].format(**fields) if fields else self._texts[section][name]

    def maybe(self, key: str, otherwise: str) -> str:
        """As a call, but with another text where there is none: for names that a newer list or program brings."""
        section, _, name = key.partition(".")
        return self._texts[section].get(name, otherwise)

    def keys(self) -> dict[str, str]:
        """Every ``section.key`` and its text."""
        return {f"{section}.{key}": text for section, texts in self._texts.items() for key, text in texts.items()}

    def ago(self, seconds: float) -> str:
        """How long ago, in the largest unit that fits. A moment to come (the clock was set) is now."""
        minutes = int(seconds // 60)
        if minutes < 1:
            return self("found.ago_now")
        if minutes < 120:
            return self("found.ago_minutes", n=minutes)
        if minutes < 48 * 60:
            return self("found.ago_hours", n=minutes // 60)
        return self("found.ago_days", n=minutes // (24 * 60))


@cache
def words(code: str) -> Words:
    """The words of one of :data:`LANGUAGES`."""
    return Words(code)


def negotiate(header: str) -> str:
    """The language that an Accept-Language header (RFC 9110, 12.5.4) likes best; else English."""
    best, found = 0.0, "en"
    for part in header.split(",")[:20]:
        tag, _, parameters = part.strip().partition(";")
        code = tag.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if code in LANGUAGES and quality > best:
            best, found = quality, code
    return found


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0


def to_seconds(moment: Instant) -> float:
    """Seconds since the epoch of an RFC 3339 moment."""
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()
