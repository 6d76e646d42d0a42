"""What a request to the API asks for: its parameters, checked and typed. Pure; whatever arrives, it is understood or
refused with one line that names the parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from probe.collector import instants
from probe.collector.cells import operator_key
from probe.collector.public import Operator, operator_of
from probe.collector.search import Place
from probe.model.errors import UsageError
from probe.model.finding import Line, Verdict

Format = Literal["json", "csv", "parquet"]
MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
PAGE, MOST = 100, 1000
"""Items of a page of JSON: unless said otherwise, and at most."""
LONGEST = 1024
LATEST = instants.from_text("9999-01-01T00:00:00.000Z")

_COUNTRY = re.compile(r"[A-Z]{2}|ZZ")
_TOKEN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_CURSOR = re.compile(r"(\d{1,15})~([0-9a-f-]{16,36})")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A request. What is empty or None asks for nothing. ``since`` ≤ time < ``until``, in ms; ``limit`` None: all."""

    format: Format = "json"
    country: str | None = None
    operator: str = ""
    target: str = ""
    measurement: str = ""
    verdict: Verdict | None = None
    state: Literal["open", "closed"] | None = None
    since: int | None = None
    until: int | None = None
    cursor: Place | None = None
    limit: int | None = None


def parse(parameters: Iterable[tuple[str, str]], allowed: Iterable[str], accept: str = "") -> Query:
    """The parameters of a request, of which only those ``allowed`` may be there; ``accept``: its header, which decides
    where no ``format`` is given. Raises UsageError."""
    known = {name: _READERS[name] for name in allowed}
    read: dict[str, Any] = {}
    for name, text in parameters:
        if name not in known:
            raise UsageError(f"there is no parameter {name[:40]!r} here; there are: {', '.join(known)}")
        if name in read:
            raise UsageError(f"{name}: given twice")
        if len(text) > LONGEST:
            raise UsageError(f"{name}: longer than {LONGEST} characters")
        read[name] = known[name](name, text)
    read.setdefault("format", _accepted(accept))
    if read["format"] == "json":
        read.setdefault("limit", PAGE)
    if read.get("since") is not None and read.get("until") is not None and read["since"] > read["until"]:
        raise UsageError("until: lies before since")
    return Query(**read)


def narrowed(query: Query, shown: Iterable[Operator], names: Mapping[Operator, Iterable[str]]) -> frozenset[Operator]:
    """The operators that are asked for, of those shown. ``names``: what each is called."""
    asked = query.operator.strip().casefold()
    return frozenset(
        one for one in shown
        if query.country in (None, one[0])
        and (not asked or asked in (one[1].casefold(), *(name.casefold() for name in names.get(one, ()))))
    )  # fmt: skip


def called(crowd: Iterable[tuple[Line, str]]) -> dict[Operator, set[str]]:
    """What operators are called by those who measure there."""
    names: dict[Operator, set[str]] = {}
    for line, _ in crowd:
        names.setdefault(operator_of(line), {operator_key(line)}).add(line.operator.strip())
    return names


def cursor(place: Place) -> str:
    """A place as the ``cursor`` of a next page."""
    return f"{place.time}~{place.id}"


def _accepted(accept: str) -> Format:
    """The first of our formats in an Accept header; JSON for those that name none (weights are not compared)."""
    kinds = [part.partition(";")[0].strip().casefold() for part in accept.split(",")]
    for kind in kinds:
        for name, media in MEDIA.items():
            if kind == media.partition(";")[0]:
                return name
    return "json"


def _text(_name: str, text: str) -> str:
    return text


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if not pattern.fullmatch(text):
            raise UsageError(f"{name}: {text[:40]!r} is not {what}")
        return text

    return read


def _country(name: str, text: str) -> str:
    code = _matching(_COUNTRY, "two capital letters (ISO 3166), or ZZ for unknown")(name, text)
    return "" if code == "ZZ" else code


def _one_of(*words: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in words:
            raise UsageError(f"{name}: {text[:40]!r} is none of {', '.join(words)}")
        return text

    return read


def _instant(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        at = instants.from_text((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat())
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{name}: {text[:40]!r} is no date or time (RFC 3339, UTC unless said)") from error
    if not 0 <= at < LATEST:
        raise UsageError(f"{name}: {text[:40]!r} is not between 1970 and 9999")
    return at


def _limit(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST:
        raise UsageError(f"{name}: {text[:40]!r} is not a number from 1 to {MOST}")
    return int(text)


def _place(name: str, text: str) -> Place:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise UsageError(f"{name}: {text[:40]!r} is not one that `next` gave")
    return Place(int(match[1]), match[2])


_READERS: dict[str, Callable[[str, str], Any]] = {
    "country": _country,
    "operator": _text,
    "target": _text,
    "measurement": _matching(_TOKEN, "a name of a measurement"),
    "verdict": _one_of(*get_args(Verdict)),
    "state": _one_of("open", "closed"),
    "since": _instant,
    "until": _instant,
    "cursor": _place,
    "limit": _limit,
    "format": _one_of(*MEDIA),
}
