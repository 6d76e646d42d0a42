"""Counts as people write them: ``12 345``, ``12.345``, ``12,345``, ``١٢٬٣٤٥``, ``12.3k``, ``1,2 M``, ``45 ألف``. Pure.

A number that could be read in two ways is refused: a wrong figure in a newspaper is worse than none.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

import msgspec

from probe.model.errors import MalformedRecord

MOST = 10**15
_LONGEST = 64

# Spaces that group digits (also the narrow and figure ones) are one kind, apostrophes are one kind.
_SPACES = dict.fromkeys(map(ord, "\u0009\u000a\u000d\u00a0\u2007\u2009\u202f"), " ")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u02bc"), "'")
# Arabic thousands separator (U+066C) and Arabic comma, which stands in for it; the decimal separator (U+066B).
_ARABIC = {0x066C: "٬", 0x060C: "٬"}
_INVISIBLE = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_TRANSLATION = {**_SPACES, **_APOSTROPHES, **_ARABIC, **_INVISIBLE}

_UNITS = {
    "k": 10**3, "thousand": 10**3, "mille": 10**3, "ألف": 10**3, "الف": 10**3, "آلاف": 10**3,
    "M": 10**6, "mn": 10**6, "mln": 10**6, "million": 10**6, "millions": 10**6, "مليون": 10**6, "ملايين": 10**6,
    "B": 10**9, "bn": 10**9, "billion": 10**9, "Md": 10**9, "Mds": 10**9, "mrd": 10**9, "milliard": 10**9,
    "milliards": 10**9, "مليار": 10**9,
}  # fmt: skip
"""An ``m`` is a million to some and a thousand to others, a ``b`` nothing to most: small they are refused."""
_BY_NAME = {**{name.casefold(): size for name, size in _UNITS.items() if len(name) > 1}, "k": 10**3, "K": 10**3,
            "M": 10**6, "B": 10**9}  # fmt: skip

_SHAPE = re.compile(r"([0-9][0-9 .,'٬٫]*[0-9]|[0-9])\s*([^\W\d_]*)")


class Count(msgspec.Struct, frozen=True):
    """``step``: what the page rounds to (1, unless it says ``12.3k``)."""

    value: int
    step: int = 1


def parse(text: str) -> Count:
    """The count that a text is. Raises MalformedRecord with the reason if it is none, or has two readings."""
    plain = _western(text)
    match = _SHAPE.fullmatch(plain)
    if match is None or len(text) > _LONGEST:
        raise _malformed(text, "is no count")
    digits, unit = match[1], match[2]
    size = _BY_NAME.get(unit, _BY_NAME.get(unit.casefold() if len(unit) > 1 else unit)) if unit else 1
    if size is None:
        raise _malformed(text, f"{unit!r} is no multiple that is known for sure")
    whole, fraction = _split(digits, text, counted=size == 1)
    value = Decimal(f"{whole}.{fraction or '0'}") * size
    if value != int(value) or value > MOST:
        raise _malformed(text, "is finer than its unit" if value <= MOST else "is too large to be a count")
    return Count(int(value), max(1, size // 10 ** len(fraction)))


def of_json(value: object) -> Count:
    """The count that a value in JSON is: a number, or a text that :func:`parse` reads. Raises MalformedRecord."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _malformed(str(value), "is no number")
    if isinstance(value, str):
        return parse(value)
    if value != value or value < 0 or value > MOST or value != int(value):
        raise _malformed(str(value), "is no count")
    return Count(int(value))


def _western(text: str) -> str:
    """The text with Western digits, one kind of space and nothing invisible. Digits of two scripts are no number."""
    scripts: set[int] = set()
    found: list[str] = []
    for c in text.translate(_TRANSLATION).strip():
        digit = unicodedata.decimal(c, None)
        if digit is None:
            found.append(c)
        else:
            scripts.add(ord(c) - digit)
            found.append(str(digit))
    return "".join(found) if len(scripts) <= 1 else ""


def _split(digits: str, text: str, *, counted: bool) -> tuple[str, str]:
    """(whole part, fraction), both of digits alone. ``counted``: without a unit, so there can be no fraction."""
    marks = [c for c in digits if not c.isdigit()]
    if not marks:
        return digits, ""
    groups = re.split(r"[^0-9]", digits)
    grouped = len(groups[0]) <= 3 and groups[0] != "0" and all(len(group) == 3 for group in groups[1:])
    if len(set(marks)) == 1 and grouped and marks[0] != "٫":
        if counted or len(marks) > 1 or marks[0] in " '٬":
            return "".join(groups), ""
        raise _malformed(text, "its separator may stand for thousands or for a fraction")
    if counted:
        raise _malformed(text, "is grouped as no count is")
    # A unit follows: the last mark may be that of a fraction, those before it group.
    last = marks[-1]
    whole, _, fraction = digits.rpartition(last)
    if last in ".,٫" and last not in whole and 1 <= len(fraction) <= 3:
        return _split(whole, text, counted=True)[0], fraction
    raise _malformed(text, "is grouped as no count is")


def _malformed(text: str, what: str) -> MalformedRecord:
    return MalformedRecord(repr(text[:_LONGEST]), what)
