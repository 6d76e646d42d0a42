"""One file a measurement. A measurement is a generator: it yields batches of steps, is sent the exchanges, and returns
its judgement. It never touches a socket, a clock or a source of chance of its own.

A file ``name.py`` in this package is a measurement if its name has no leading underscore. It defines

* ``VERSION``: version of its rules (a change of verdict on old evidence is a new version);
* ``Options``: a frozen ``msgspec.Struct``; its fields are the command line's options and the keys that a target list
  may set (``control_name`` is ``--control-name``), their descriptions the help texts; the first is ``target``;
* ``measure(options, context)``: the generator.

Nothing is registered anywhere: :func:`load` finds the file by its name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec

from probe.model.baseline import Baseline
from probe.model.errors import MalformedPacket, UsageError
from probe.model.exchange import Exchange, Step
from probe.model.finding import Judgement
from probe.wire.address import address_bytes

T = TypeVar("T")
Part = Generator[list[Step], list[Exchange], T]
"""A part of a measurement, for ``yield from``: yields batches, is sent exchanges, returns what it found."""
Steps = Part[Judgement]
"""What ``measure`` returns."""


class Context(msgspec.Struct, frozen=True):
    """What a measurement is handed besides its options.

    ``random`` is seeded by the engine and the seed is kept in the exchange log, so that a replay draws the same.
    ``baseline``: what is usual on this line; the exchange log keeps what it says of the addresses that are sent to. It
    may make a measurement more careful or more patient, and never accuses.
    ``progress`` takes one short line for a person who waits.
    """

    random: Random
    progress: Callable[[str], None] = lambda _: None
    baseline: Baseline = Baseline()


class Measurement(msgspec.Struct, frozen=True):
    """A measurement file, loaded."""

    name: str
    version: str
    options: type[Any]
    measure: Callable[[Any, Context], Steps]
    summary: str


def parse_options(
    measurement: Measurement, given: Mapping[str, object], defaults: Mapping[str, object] | None = None
) -> Any:
    """Options of a measurement from loosely typed values (a command line's texts, a list's entries, a log's).

    ``defaults`` fills what is not given; keys that the measurement does not know are errors in ``given`` and ignored in
    ``defaults``. Raises UsageError with the name of the option: also for what should be an address and is none.
    """
    known = {field.name for field in msgspec.structs.fields(measurement.options)}
    verb = measurement.name.replace("_", "-")
    for key in given:
        if key not in known:
            raise UsageError(f"{verb}: no option is called {key!r}; there are: {', '.join(sorted(known))}")
    merged = {k: v for k, v in (defaults or {}).items() if k in known and v not in ("", None)} | dict(given)
    lists = _lists(measurement.options)
    merged = {k: v.replace(",", " ").split() if k in lists and isinstance(v, str) else v for k, v in merged.items()}
    try:
        options = msgspec.convert(merged, measurement.options, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{verb}: {error}") from None
    for key in filter(_holds_addresses, known):
        value = getattr(options, key)
        for text in [value] if isinstance(value, str) else value or []:
            if text and not _is_address(text):
                raise UsageError(f"{verb}: {key.replace('_', '-')}: {text!r} is not an IP address")
    return options


def _holds_addresses(key: str) -> bool:
    """Whether an option holds addresses, by its name: ``address``, ``control_address``, ``resolver``, ``silent`` …"""
    return key.endswith(("address", "resolver")) or key in ("silent", "reflector", "siblings")


def _is_address(text: object) -> bool:
    try:
        address_bytes(str(text))
    except MalformedPacket:
        return False
    return True


def _lists(options: type[Any]) -> set[str]:
    """Names of the fields that are lists: as one text, their elements are parted by commas or blanks."""
    found = set()
    for field in msgspec.structs.fields(options):
        kind = msgspec.inspect.type_info(field.type)
        while isinstance(kind, msgspec.inspect.Metadata):
            kind = kind.type
        if isinstance(kind, msgspec.inspect.ListType):
            found.add(field.name)
    return found


def names() -> list[str]:
    """Names of all measurements, sorted; imports none of them."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load(name: str) -> Measurement:
    """Load one measurement by name (``dns_injection`` or ``dns-injection``).

    Raises UsageError where there is none of that name.
    """
    wanted = name.replace("-", "_")
    if wanted not in names():
        raise UsageError(f"no measurement is called {name!r}; there are: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{wanted}")
    summary = (module.__doc__ or _written(str(module.__file__)) or wanted).strip().splitlines()[0]
    return Measurement(wanted, module.VERSION, module.Options, module.measure, summary)


def _written(path: str) -> str:
    """The docstring's first line as it stands in a file: byte code of ``python -OO``, as on the image, has none."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.readline().strip(' "\n')
    except OSError:
        return ""
