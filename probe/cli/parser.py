"""The argument parser that every verb shares: no abbreviations (scripts would break when an option is added) and errors
of one line."""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False  # importing typing would cost as much as argparse does
if TYPE_CHECKING:
    from typing import Any, NoReturn

USAGE = 2
"""Exit status for wrong usage (contract 2)."""


class Parser(argparse.ArgumentParser):
    """``argparse.ArgumentParser``, with one line of error that says where help is, and no abbreviated options.

    Parsers of nested commands (``add_subparsers``) are of this class too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", _Formatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Ends with status 2 and one line on stderr."""
        self.exit(USAGE, f"{self.prog}: {' '.join(message.split())} (try: {self.prog} --help)\n")


class _Formatter(argparse.HelpFormatter):
    """argparse's own asks :mod:`shutil` for the width of the terminal, for each option that is declared: with all that
    copies and packs files, that is 1 MB and a twentieth of the start of a command."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """Width of the terminal, as :func:`shutil.get_terminal_size` finds it."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ is not None else 80
    except (OSError, ValueError):
        return 80
