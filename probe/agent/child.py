"""Programs of ours that run in a process of their own, because what they load would never be given back."""

from __future__ import annotations

import os
import sys


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this very installation, with the byte code that this process uses."""
    optimised = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    return [sys.executable, *optimised, "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Environment in which it finds what this process finds: ``colibri`` of the image and of the package says in the
    program itself where the modules are."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
