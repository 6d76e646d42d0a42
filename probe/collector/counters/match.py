"""A program of its own: reads a pattern and a page as JSON from standard input, prints what the group matched.

A pattern that its owner wrote without malice can run for hours on a page that somebody else wrote with malice, and
Python can't stop it; a process can be stopped. It imports nothing of ours, so that it starts in no time.
"""

from __future__ import annotations

import json
import re
import sys
from html import unescape


def matches(pattern: str, text: str) -> list[str]:
    """The different texts that the group matched, in the order of the page; entities (``&nbsp;``) resolved."""
    found = (unescape(match[1] or "") for match in re.finditer(pattern, text, re.MULTILINE))
    return list(dict.fromkeys(one.strip() for one in found))


def main() -> None:
    """Standard input to standard output."""
    asked = json.load(sys.stdin)
    json.dump(matches(asked["pattern"], asked["text"]), sys.stdout)


if __name__ == "__main__":
    main()
