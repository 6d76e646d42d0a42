"""One language: messages, plural forms, numbers, dates, lists. English is in the code, the others are catalogues.

The catalogues (gettext, ``*.po``) are compiled in memory when they are loaded, so no compiled copy can be
stale.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from babel import Locale
from babel.dates import format_datetime
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup, escape

from probe.collector import instants

Code = Literal["fr", "ar", "en"]
CODES: tuple[Code, ...] = ("fr", "ar", "en")
NAMES: dict[Code, str] = {"fr": "Français", "ar": "العربية", "en": "English"}
SOURCE: Code = "en"
"""The language that messages are written in."""

# Unicode Bidirectional Algorithm (UAX #9), 2.7: first strong isolate, pop directional isolate.
_ISOLATE, _POP = "\u2068", "\u2069"
# The Maghreb writes Western digits in Arabic text too.
_DIGITS = "latn"
_WHEN = {"fr": "d MMM y 'à' HH:mm 'UTC'", "ar": "d MMM y، HH:mm 'UTC'", "en": "d MMM y, HH:mm 'UTC'"}
_MONTH = "MMM y"
_DAY = {"fr": "d MMM", "ar": "d MMM", "en": "d MMM"}


def mark(message: str) -> str:
    """A message that is translated where it is shown; here it is only marked to be found."""
    return message


class Language:
    """Says things in one language, as plain text or as HTML. Values that are put into a message are told apart from it:
    numbers are written as the language does, text is isolated (``<bdi>``, or isolates of Unicode in plain text)."""

    def __init__(self, code: Code, catalogue: gettext.NullTranslations) -> None:
        self.code = code
        self.name = NAMES[code]
        self._locale = Locale(code)
        self._catalogue = catalogue
        self.direction: str = self._locale.text_direction

    def text(self, message: str, **values: object) -> str:
        """A message as plain text."""
        return self._plain(self._catalogue.gettext(message), values)

    def texts(self, one: str, many: str, number: int, **values: object) -> str:
        """The plural form for a number, which the message calls ``%(num)s``, as plain text."""
        return self._plain(self._catalogue.ngettext(one, many, number), {"num": number, **values})

    def html(self, message: str, **values: object) -> Markup:
        """A message as HTML; a ``Markup`` among the values is taken as it is."""
        return self._marked_up(self._catalogue.gettext(message), values)

    def htmls(self, one: str, many: str, number: int, **values: object) -> Markup:
        """The plural form for a number, which the message calls ``%(num)s``, as HTML."""
        return self._marked_up(self._catalogue.ngettext(one, many, number), {"num": number, **values})

    def number(self, number: float) -> str:
        """``1,234.5``."""
        return format_decimal(number, locale=self._locale, numbering_system=_DIGITS)

    def percent(self, share: float) -> str:
        """0 … 1 as whole percent."""
        return format_percent(share, locale=self._locale, numbering_system=_DIGITS)

    def date(self, at: int) -> str:
        """An instant (ms) to the minute; always UTC, and it says so."""
        return _format(at // instants.MINUTE, _WHEN[self.code], self._locale)

    def day(self, at: int) -> str:
        """Day and month of an instant (ms)."""
        return _format(at // instants.MINUTE, _DAY[self.code], self._locale)

    def month(self, at: int) -> str:
        """Month and year of an instant (ms)."""
        return _format(at // instants.MINUTE, _MONTH, self._locale)

    def duration(self, span: int) -> str:
        """A span (ms) in whole days, or in hours if it is shorter than two days."""
        if span >= 2 * instants.DAY:
            return self.texts("%(num)s day", "%(num)s days", span // instants.DAY)
        return self.texts("%(num)s hour", "%(num)s hours", span // (60 * instants.MINUTE))

    def country(self, code: str) -> str:
        """What a country (ISO 3166-1 alpha-2) is called; the code where it has no name, as the unknown one."""
        return str(self._locale.territories.get(code, code))

    def listed(self, items: Iterable[str]) -> Markup:
        """``a, b and c`` as HTML, each isolated unless it is ``Markup``."""
        return Markup(format_list([str(_isolated(item)) for item in items], locale=self._locale))  # noqa: S704 - escaped

    def _plain(self, message: str, values: dict[str, object]) -> str:
        if not values:
            return message
        return message % {name: self._apart(value) for name, value in values.items()}

    def _apart(self, value: object) -> str:
        if isinstance(value, int):
            return self.number(value)
        # Where everything runs left to right, the marks would only be dirt in titles.
        return f"{_ISOLATE}{value}{_POP}" if self.direction == "rtl" else str(value)

    def _marked_up(self, message: str, values: dict[str, object]) -> Markup:
        if not values:
            return escape(message)
        shown = {name: escape(self.number(v)) if isinstance(v, int) else _isolated(v) for name, v in values.items()}
        return escape(message) % shown


@cache
def load(code: Code, *domains: str) -> Language:
    """A language, with its catalogue and that of further domains (``DOMAIN.CODE.po``), which the monitor does not read.

    Raises OSError if a catalogue can't be read.
    """
    if code == SOURCE:
        return Language(code, gettext.NullTranslations())
    catalogue = _compiled(f"{code}.po", code)
    for domain in domains:
        catalogue.add_fallback(_compiled(f"{domain}.{code}.po", code))
    return Language(code, catalogue)


def _compiled(name: str, code: Code) -> gettext.GNUTranslations:
    with (Path(__file__).parent / name).open("rb") as file:
        catalogue = read_po(file, locale=code, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _isolated(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup("<bdi>{}</bdi>").format(value)


@lru_cache(8192)
def _format(minute: int, pattern: str, locale: Locale) -> str:
    return format_datetime(instants.moment(minute * instants.MINUTE), pattern, locale=locale)
