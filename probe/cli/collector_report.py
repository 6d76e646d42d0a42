"""``colibri collector report``: the study of a country's month, as HTML, PDF and tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from probe.cli.collector_dossier import LANGUAGES, lacking, now_ms, reader_of
from probe.model.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from probe.collector.languages.language import Code
    from probe.collector.study.figures import Figures


def add_actions(verbs: Any) -> None:
    """Declare the action and its options."""
    report = verbs.add_parser("report", help="a country's month: operators compared, as HTML, PDF and CSV")
    report.add_argument("--month", metavar="YYYY-MM", required=True, help="which month (UTC)")
    report.add_argument("--country", metavar="CC", help="which country (default: each that was measured)")
    report.add_argument("--lang", choices=LANGUAGES, default="en", help="its language (default: en)")
    report.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the database")
    report.add_argument("--output", metavar="FOLDER", help="where a folder for each country is made (default: here)")


def actions() -> dict[str, Callable[[argparse.Namespace], int]]:
    """Action → what does it."""
    return {"report": _report}


def _report(args: argparse.Namespace) -> int:
    from pathlib import Path

    from probe.agent.config import load

    try:
        from probe.collector.study.gather import countries, gather
        from probe.collector.study.report import report
    except ModuleNotFoundError as error:
        raise lacking(error, "a study", "dossier") from error
    reader, _ = reader_of(args)
    now = now_ms()
    consents = load(args.config).collector.consents
    try:
        wanted = [args.country] if args.country else countries(reader, args.month)
        if not wanted:
            raise UsageError(f"nothing was measured in {args.month}")
        found = [gather(reader, args.month, country, now, consents) for country in wanted]
    finally:
        reader.close()
    for figures in found:
        name = f"report-{figures.country or 'unknown'}-{figures.month}"
        _write(Path(args.output or ".") / name, figures, args.lang, report(figures, args.lang, now))
    return 0


def _write(folder: Path, figures: Figures, language: Code, page: str) -> None:
    from probe.collector.dossier.pdf import NoPdf, pdf
    from probe.collector.study.tables import tables

    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"report-{language}.html").write_text(page, "utf-8")
    try:
        (folder / f"report-{language}.pdf").write_bytes(pdf(page))
    except NoPdf as error:
        print(f"the study is HTML alone: {error}", file=sys.stderr)
    for name, table in tables(figures):
        (folder / name).write_bytes(table)
    print(f"{folder}: {len(figures.operators)} operators, {len(figures.incidents)} incidents")
