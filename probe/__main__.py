"""``python -m probe``: the ``colibri`` command where the script is not on PATH."""

from __future__ import annotations

import sys

from probe.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
