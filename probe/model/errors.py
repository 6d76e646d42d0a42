"""Every exception Colibri raises on purpose, drawn as a tree.

    ColibriError                      .exit_status
    ├── UsageError               2    the person (or a file the person wrote) asked for something impossible
    │   └── ConfigError          2    .where: the file and the dotted path of the key
    ├── CannotMeasure            1    no measurement took place; .mend says what to do about it
    │   ├── NoRoute              1
    │   ├── NoPermission         1
    │   ├── ForbiddenDestination 1
    │   └── BudgetExhausted      1
    ├── MalformedPacket          1    bytes that are not what they claim to be (wire)
    ├── MalformedRecord          1    a finding, list, capture or message that can't be read (.where)
    ├── ReplayMismatch           1    the recording does not hold what today's rules ask for
    ├── StoreError               1    the collector's database can't be opened, read or written
    └── Unanswered               1    a server of others gave no answer that can be used (.where)

A failed measurement is a finding, never an exception: an exception means that nothing could be measured at all.
"""

from __future__ import annotations


class ColibriError(Exception):
    """Base of all; ``exit_status`` is what the command line ends with (contract 2)."""

    exit_status = 1


class UsageError(ColibriError):
    """Wrong words on the command line or in a file."""

    exit_status = 2


class ConfigError(UsageError):
    """A configuration that can't be used. ``where`` is ``file: dotted.key``."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class CannotMeasure(ColibriError):
    """Nothing could be measured. ``mend`` tells a person what to do."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what} ({mend})" if mend else what)
        self.what = what
        self.mend = mend


class NoRoute(CannotMeasure):
    """The machine has no route or no address towards the destination."""


class NoPermission(CannotMeasure):
    """The process may not open packet sockets."""


class ForbiddenDestination(CannotMeasure):
    """The destination lies in a range that is never measured (design, "Safety")."""


class BudgetExhausted(CannotMeasure):
    """The line's daily budget is used up."""


class MalformedPacket(ColibriError):
    """Bytes that can't be decoded as what they claim to be. The only exception that ``probe.wire`` raises on input."""


class MalformedRecord(ColibriError):
    """A stored or received record that can't be read. ``where`` names the file, topic or line."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class ReplayMismatch(ColibriError):
    """A recording lacks an exchange that the rules of today ask for."""


class StoreError(ColibriError):
    """The collector's store can't be opened, read or written. Nothing of the batch under way was stored."""


class Unanswered(ColibriError):
    """A server that the collector asked gave no answer that can be used. ``where`` is its address."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what
