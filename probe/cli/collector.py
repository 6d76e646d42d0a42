"""``colibri collector run``: subscribe, store each finding once, answer ``stored``, and serve the live monitor.
``incidents``: what it has found out; ``dossier``, ``check``: the evidence of an incident, and whether it is whole."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probe.cli import collector_dossier, collector_enrol, collector_report

if TYPE_CHECKING:
    from probe.collector.incidents.cases import Case
    from probe.collector.store import IncidentRow

EXTRA = collector_dossier.EXTRA
"""Modules of the optional extra."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their options."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    run_parser = verbs.add_parser("run", help="subscribe, store, and serve the monitor until stopped")
    run_parser.add_argument("--config", metavar="FILE", help="configuration file (TOML)")
    run_parser.add_argument("--listen", metavar="ADDRESS:PORT", help="where the monitor listens, e.g. 127.0.0.1:8080")
    listing = verbs.add_parser("incidents", help="who cut what, from when to when, seen from how many homes")
    listing.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the database")
    listing.add_argument("--open", action="store_true", help="those only that last")
    listing.add_argument("--cases", action="store_true", help="gathered into cases, with what they are together")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    copying = verbs.add_parser("copy", help="all of the embedded store into the ClickHouse that collector.store names")
    copying.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names both")
    collector_dossier.add_actions(verbs)
    collector_report.add_actions(verbs)
    collector_enrol.add_actions(verbs)


def run(args: argparse.Namespace) -> int:
    """Run the collector until SIGTERM or SIGINT, list incidents, copy its store, make or check a dossier.

    Raises ConfigError, UsageError, StoreError, MalformedRecord, OSError, or ColibriError without the extra.
    """
    actions = {"run": _run, "incidents": _incidents, "copy": _copy, **collector_dossier.actions(),
               **collector_report.actions(), **collector_enrol.actions()}  # fmt: skip
    return actions[args.action](args)


def _incidents(args: argparse.Namespace) -> int:
    import msgspec

    from probe.collector.casebook import MOST, cases
    from probe.collector.instants import now

    reader, _ = collector_dossier.reader_of(args)
    found: list[tuple[object, str]]
    try:
        if args.cases:
            found = [(one, _case_text(one)) for one in cases(reader, now()) if one.ended is None or not args.open]
        else:
            found = [(row, _incident_text(row)) for row in reader.incidents(MOST, open_only=args.open)]
    finally:
        reader.close()
    for one, text in found:
        print(msgspec.json.encode(one).decode() if args.json else text)
    if not found and not args.json:
        print("no incidents")
    return 0


def _copy(args: argparse.Namespace) -> int:
    import sys

    from probe.agent.config import load
    from probe.collector import stores

    def told(what: str, done: int, total: int) -> None:
        print(f"{what}: {done} of {total}", file=sys.stderr)

    copied = stores.copy(load(args.config).collector, told)
    print(f"{copied} findings copied; all that was in the database is in the store")
    return 0


def _incident_text(row: IncidentRow) -> str:
    from probe.collector.incidents.said import span

    one = row.incident
    also = "".join((
        f", a share of {one.share:.0%}" if one.intermittent else "",
        f", {len(one.dissent)} disagree" if one.dissent else "",
        f", {len(one.exemptions)} exempted for a while" if one.exemptions else "",
    ))  # fmt: skip
    told_apart = {"prefix": "", "probe": " (counted by probe)", "mixed": " (some counted by probe)"}[one.counted]
    return (
        f"{row.id}  {one.state}  {one.series.country} {row.operator or one.series.operator} ({one.series.access})  "
        f"{one.series.technique}  {one.series.target}  {span(one.began, one.ended)}  "
        f"{one.homes} of {one.heard} homes{told_apart}{also}"
    )


def _case_text(one: Case) -> str:
    from probe.collector.incidents.said import said, span

    head = f"{one.country} {one.subject}  {span(one.began, one.ended)}"
    return "\n".join([head, *(f"  {line}" for line in said(one))])


def _run(args: argparse.Namespace) -> int:
    import msgspec

    from probe.agent import journal
    from probe.agent.config import load
    from probe.agent.notify import Notifier

    config = load(args.config)
    if args.listen:
        collector = msgspec.structs.replace(config.collector, listen=args.listen)
        config = msgspec.structs.replace(config, collector=collector)
    try:
        from probe.collector import service
    except ModuleNotFoundError as error:
        raise collector_dossier.lacking(error, "the collector", "collector") from error
    journal.set_up()
    return service.run(config, lambda: Notifier().ready(f"monitor on {config.collector.listen}"))
