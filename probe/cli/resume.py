"""``colibri resume``: take ``colibri pause`` back."""

from __future__ import annotations

import argparse

from probe.cli import pause
from probe.cli.pause import add_arguments

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Resume. Raises CannotMeasure as ``colibri pause`` does."""
    return pause.hold(args, False)
