"""Which language a browser asks for (RFC 9110, section 12.5.4)."""

from __future__ import annotations

from probe.collector.languages.language import CODES, SOURCE, Code

_LONGEST = 1000  # characters of the header that are looked at


def preferred(accept_language: str) -> Code:
    """The one of ours that a browser likes best; English where it likes none. Takes any text, and never fails."""
    likes: list[tuple[float, Code]] = []
    for part in accept_language[:_LONGEST].split(","):
        tag, _, parameters = part.partition(";")
        primary = tag.strip().partition("-")[0].casefold()
        likes += [(_quality(parameters), code) for code in CODES if code == primary]
    quality, code = max(likes, key=lambda like: like[0], default=(0.0, SOURCE))  # the first of equals
    return code if quality > 0 else SOURCE


def _quality(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if name.strip().casefold() != "q":
        return 1.0
    whole, _, decimals = value.strip().partition(".")
    if whole not in {"0", "1"} or not (decimals == "" or (decimals.isascii() and decimals.isdigit())):
        return 0.0
    return min(1.0, float(f"{whole}.{decimals or '0'}"))
