"""``COLIBRI-STATUS.txt`` on the boot partition: what went right and wrong, for whoever puts the card into a computer.

Always of one size, so that it can be overwritten where it lies: a power cut can't hurt the partition's tables. With a
byte order mark and Windows' line ends, since that is what opens it.
"""

from __future__ import annotations

import msgspec

from probe.appliance.settings import Mistake
from probe.appliance.texts import LANGUAGES, Language, say

FILE = "COLIBRI-STATUS.txt"
SIZE = 8192
"""Bytes, padded with line ends."""


class Report(msgspec.Struct, frozen=True):
    """What is to be said. ``notes``: names of further texts, such as ``password`` or ``data_lost``; ``code``: of the
    home's page."""

    version: str
    hostname: str
    mistakes: list[Mistake] = []
    former: bool = False
    notes: list[str] = []
    code: str = ""


def render(report: Report | None) -> bytes:
    """The file; None: of a card that was never started. Raises ValueError where it would not fit."""
    parts = ["\r\n".join(_part(report, language)) for language in LANGUAGES]
    text = "\r\n\r\n".join(parts)
    data = b"\xef\xbb\xbf" + text.encode() + b"\r\n"
    if len(data) > SIZE - 1:
        raise ValueError(f"{len(data)} bytes of {SIZE}")
    return data + b"\n" * (SIZE - len(data))


def _part(report: Report | None, language: Language) -> list[str]:
    title = say("title", language)
    lines = [title, "=" * len(title)]
    if report is None:
        return [*lines, say("never", language)]
    if report.mistakes:
        lines.append(say("wrong", language))
        lines += [f"- {mistake(one, language)}" for one in report.mistakes]
        lines.append(say("former" if report.former else "none", language))
    else:
        lines.append(say("fine", language))
    lines += [say(note, language) for note in report.notes]
    lines += [say("code", language, code=report.code)] if report.code else []
    return [*lines, say("name", language, name=report.hostname), say("version", language, version=report.version)]


def mistake(one: Mistake, language: Language) -> str:
    """One mistake in plain words, at most some 300 characters long."""
    said = say(one.kind, language, file=one.file, where=one.where[:80] or "?", what=one.what[:160])
    return said + (say("near", language, near=one.near) if one.near else "")
