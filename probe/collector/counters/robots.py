"""robots.txt (RFC 9309), with the patterns of its section 2.2.3 and the Crawl-delay that many write beside it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import msgspec

AGENT = "colibri-collector"
"""The product token (RFC 9309, 2.2.1) that a page's owner writes to speak of us."""
MOST = 500 * 1024  # bytes that have to be read (2.5)
LONGEST_DELAY = 86400.0

_LINE = re.compile(r"\s*([A-Za-z-]+)\s*:\s*([^#]*)")


class Rules(msgspec.Struct, frozen=True):
    """What applies to us. ``paths``: (allowed?, pattern); ``delay``: seconds between two requests, if it says so."""

    paths: tuple[tuple[bool, str], ...] = ()
    delay: float = 0.0

    def allows(self, url: str) -> bool:
        """Whether a page may be fetched: the longest pattern that fits decides, and of equals the one that allows."""
        split = urlsplit(url)
        path = _encoded((split.path or "/") + (f"?{split.query}" if split.query else ""))
        fitting = [(len(pattern), allowed) for allowed, pattern in self.paths if _fits(pattern, path)]
        return max(fitting)[1] if fitting else True


def rules(text: str) -> Rules:
    """What a robots.txt says to us: the groups that name us, all together, else those for everybody (2.2.1)."""
    own: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    named: set[str] = set()
    opening = False
    for field, value in _fields(text):
        if field == "user-agent":
            named = named if opening else set()
            named.add(_token(value))
            opening = True
            if AGENT in named:
                own.append(("", ""))  # a group that names us and says nothing lets us in
            continue
        opening = False
        if AGENT in named:
            own.append((field, value))
        elif "*" in named:
            others.append((field, value))
    chosen = own or others
    lines = [(field, value) for field, value in chosen if field in {"allow", "disallow"} and value]
    paths = tuple((field == "allow", _encoded(value)) for field, value in lines)
    return Rules(paths, max((_seconds(value) for field, value in chosen if field == "crawl-delay"), default=0.0))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text[:MOST].removeprefix("\ufeff").splitlines():
        match = _LINE.match(line)
        if match:
            field = match[1].lower()
            if field in {"user-agent", "allow", "disallow", "crawl-delay"}:  # others don't end a group (2.2.4)
                yield field, match[2].strip()


def _token(value: str) -> str:
    match = re.match(r"\*|[A-Za-z_-]+", value)
    return match[0].lower() if match else ""


def _seconds(value: str) -> float:
    return min(float(value), LONGEST_DELAY) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) else 0.0


def _encoded(path: str) -> str:
    """Percent-encoded in one way (2.2.2): what needs no encoding is not, the rest is in capitals."""
    decoded = re.sub(r"%([0-9A-Fa-f]{2})", _one, path)
    return quote(decoded, safe="/%?&=+$,;:@!'()*~-._#[]")


def _one(match: re.Match[str]) -> str:
    c = chr(int(match[1], 16))
    return c if c.isascii() and (c.isalnum() or c in "-._~") else f"%{match[1].upper()}"


def _fits(pattern: str, path: str) -> bool:
    """Whether a pattern fits the beginning of a path; ``*`` is any text, ``$`` at the end is the end (2.2.3).

    Piece by piece, each at its first place: no pattern makes it slow.
    """
    whole = pattern.endswith("$")
    pieces = pattern.removesuffix("$").split("*")
    if not path.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if len(pieces) == 1:
        return not whole or at == len(path)
    if whole:
        return path.endswith(pieces[-1]) and len(path) - len(pieces[-1]) >= at
    return path.find(pieces[-1], at) >= 0
