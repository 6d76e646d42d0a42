#!/usr/bin/python3 -OO
"""The ``colibri`` command of the image and the package: Debian's own Python, our libraries."""

import sys

sys.path.insert(1, "/usr/lib/colibri/python")

from probe.cli.main import main

sys.exit(main())
