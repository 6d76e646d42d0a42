"""``colibri export --to FORMAT [FILE…]``: findings in the formats of others."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.model.finding import Finding

FORMATS = ("ooni", "atlas", "csv")
STANDARD_INPUT = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri export --to ooni|atlas|csv [FILE…]``."""
    parser.add_argument("--to", choices=FORMATS, required=True, help="the format: OONI, RIPE Atlas, or a table")
    parser.add_argument(
        "files", metavar="FILE", nargs="*", default=[STANDARD_INPUT],
        help="findings as JSON lines, as `colibri measure --json` prints them; none or -: standard input",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print each finding in the format, and on stderr what the format has no room for.

    Raises MalformedRecord for a line that is no finding: what came before it has been printed.
    """
    lost: Counter[str] = Counter()
    convert = _format(args.to, lost)
    try:
        for path in args.files:
            for finding in _read(path):
                for line in convert(finding):
                    sys.stdout.write(line)
    finally:
        for reason, count in sorted(lost.items()):
            print(f"not in {args.to}: {count} × {reason}", file=sys.stderr)
    return 0


def _read(path: str) -> Iterator[Finding]:
    from probe.export.lines import findings

    if path == STANDARD_INPUT:
        yield from findings(sys.stdin.buffer, "standard input")
        return
    with open(path, "rb") as stream:  # noqa: PTH123 - the name as it was given
        yield from findings(stream, path)


def _format(name: str, lost: Counter[str]) -> Callable[[Finding], Iterator[str]]:
    """Finding → lines of output. The table's header goes before its first."""
    if name == "csv":
        from probe.export import table

        sys.stdout.write(table.header())
        return lambda finding: iter([table.row(finding, lost)])
    import msgspec

    if name == "ooni":
        from probe.export import ooni

        return lambda finding: iter([f"{msgspec.json.encode(ooni.measurement(finding, lost)).decode()}\n"])
    from probe.export import atlas

    return lambda finding: (f"{msgspec.json.encode(one).decode()}\n" for one in atlas.results(finding, lost))
