"""The argument parser that every verb shares: no abbreviations (scripts would break when an option is added) and errors
of one line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

USAGE = 2
"""Exit status for wrong usage (contract 2)."""


class Parser(argparse.ArgumentParser):
    """``argparse.ArgumentParser``, with one line of error that says where help is, and no abbreviated options.

    Parsers of nested commands (``add_subparsers``) are of this class too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Ends with status 2 and one line on stderr."""
        self.exit(USAGE, f"{self.prog}: {' '.join(message.split())} (try: {self.prog} --help)\n")
