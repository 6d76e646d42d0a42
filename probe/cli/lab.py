"""``colibri lab``: raise an Internet that misbehaves on demand, go into it, and score the measurements against it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from probe.model.errors import UsageError

if TYPE_CHECKING:
    from probe.lab.lab import Lab
    from probe.lab.scenario import Scenario

DEFAULT_NAME = "lab"
DEFAULT_SCENARIO = "demo"
_A_YEAR = 366 * 86400.0
_INTERRUPTED = 130  # as a shell says it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="raise a lab")
    up.add_argument("scenario", nargs="?", default=DEFAULT_SCENARIO, help="a scenario's name, or a TOML file with one")
    up.add_argument("--foreground", action="store_true", help="stay, and end the lab on Ctrl-C")
    _name(up)
    _name(verbs.add_parser("down", help="end a lab"))
    verbs.add_parser("list", help="name all scenarios")
    verbs.add_parser("status", help="show the labs that are up")
    config = verbs.add_parser("config", help="print the configuration of a probe on an operator's line")
    config.add_argument("operator")
    _name(config)
    inside = verbs.add_parser("exec", help="run a command in the home of an operator (or in any node)")
    _name(inside)
    inside.add_argument("operator")
    inside.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND …")
    score = verbs.add_parser("score", help="measure every scenario and compare with the truth")
    score.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="these only (default: all)")
    score.add_argument("--runs", type=int, default=1, help="runs of each expectation (default: %(default)s)")
    score.add_argument("--jobs", type=int, help="labs at a time (default: five for each processor)")
    score.add_argument("--measurement", action="append", metavar="NAME", help="this one only (may be given again)")
    score.add_argument("--impaired", action="store_true", help="every run on a line of its own: loss, jitter")
    score.add_argument("--log", type=Path, metavar="FILE", help="note every run there; what it holds is not run again")
    score.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    score.add_argument("--markdown", type=Path, metavar="FILE", help="write the table here, not to standard output")
    dossiers = verbs.add_parser("dossiers", help="play the stories' weeks, and write their dossiers and studies")
    dossiers.add_argument("folder", type=Path, metavar="FOLDER", help="where they are written")
    dossiers.add_argument("--story", action="append", choices=("algeria", "morocco"), help="this one only")
    demo = verbs.add_parser("demo", help="a lab, a broker, the collector with its monitor, and a probe on every line")
    demo.add_argument("scenario", nargs="?", default=DEFAULT_SCENARIO, help="a scenario's name, or its TOML file")
    demo.add_argument("--seconds", type=float, metavar="N", help="end after N seconds ($DEMO_SECONDS; else on Ctrl-C)")
    demo.add_argument("--until-complete", action="store_true", help="end as soon as every row has been measured")


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default=DEFAULT_NAME, help="which lab, where several are up (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Do what the verb says; the exit status. Raises ColibriError."""
    match args.verb:
        case "up":
            return _up(args)
        case "down":
            from probe.lab.lab import Lab

            Lab.find(args.name).down()
        case "list":
            _list()
        case "status":
            _status()
        case "config":
            from probe.lab.files import config_text
            from probe.lab.lab import Lab

            print(config_text(Lab.find(args.name).config(args.operator)), end="")
        case "exec":
            return _exec(args)
        case "score":
            return _score(args)
        case "demo":
            return _demo(args)
        case "dossiers":
            return _dossiers(args)
    return 0


def _dossiers(args: argparse.Namespace) -> int:
    from probe.lab import dossiers, stories

    for name in args.story or stories.STORIES:
        told = dossiers.write(stories.find(name), args.folder, lambda line: print(line, file=sys.stderr, flush=True))
        for row in told.incidents:
            one = row.incident
            print(f"incident {row.id}: {one.series.technique} of {one.series.target} by {row.operator}, "
                  f"{one.homes} of {one.heard} homes")  # fmt: skip
        print(*told.files, sep="\n", flush=True)
    return 0


def _scenario(text: str) -> Scenario:
    from probe.lab import scenario

    if not text.endswith(".toml"):
        return scenario.find(text)
    found = scenario.read(Path(text))
    if len(found) != 1:
        raise UsageError(f"{text} holds {len(found)} scenarios, not one")
    return found[0]


def _up(args: argparse.Namespace) -> int:
    from probe.lab.lab import Lab

    scenario = _scenario(args.scenario)
    if not args.foreground:
        _announce(Lab.up(scenario, args.name, detach=True))
        return 0
    with Lab.up(scenario, args.name) as lab:
        waited = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, waited)  # not sooner: the lab's process would inherit it
        _announce(lab)
        signal.sigwait(waited)
    return 0


def _announce(lab: Lab) -> None:
    operators = ", ".join(lab.homes)
    print(f"lab {lab.state.name!r} is up (process {lab.state.pid}): {lab.state.scenario.description}")
    print(f"homes: {operators}. Try: colibri lab exec --name {lab.state.name} {next(iter(lab.homes))} ip route")
    sys.stdout.flush()


def _list() -> None:
    from probe.lab import scenario

    for one in scenario.shipped().values():
        print(f"{one.name:<28} {'(confounder) ' if one.confounder else ''}{one.description}")


def _status() -> None:
    from probe.lab import state

    for one in state.running():
        print(f"{one.name:<20} {one.scenario.name:<24} process {one.pid}  homes: {', '.join(one.homes)}")


def _exec(args: argparse.Namespace) -> int:
    from probe.lab.lab import Lab

    if not args.command:
        raise UsageError("exec needs a command")
    with Lab.find(args.name).enter(args.operator):
        try:
            os.execvp(args.command[0], args.command)  # noqa: S606 - the person's own command
        except OSError as error:
            raise UsageError(f"{args.command[0]}: {error.strerror}") from error


def _demo(args: argparse.Namespace) -> int:
    import asyncio

    from probe.lab import demo

    seconds = args.seconds
    if seconds is None and (text := os.environ.get("DEMO_SECONDS", "")):
        try:
            seconds = float(text)
        except ValueError:
            raise UsageError(f"DEMO_SECONDS is {text!r}, not a number of seconds") from None
    if seconds is not None and not 0 < seconds < _A_YEAR:
        raise UsageError("the demo lasts more than 0 seconds")
    rows = asyncio.run(demo.run(_scenario(args.scenario), seconds, _print, until_complete=args.until_complete))
    if not rows:
        return _INTERRUPTED
    print(f"\n{demo.table(rows)}")
    return 1 if any(row.right is False for row in rows) else 0


def _print(line: str) -> None:
    print(line, flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _score(args: argparse.Namespace) -> int:
    from probe import measurements
    from probe.cli.forked import forked
    from probe.lab import matrix, report, tables

    jobs = matrix.default_jobs() if args.jobs is None else args.jobs
    if args.runs < 1 or jobs < 1:
        raise UsageError("--runs and --jobs must be 1 or more")
    kinds = [name.replace("-", "_") for name in args.measurement or measurements.names()]
    if unknown := set(kinds) - set(measurements.names()):
        raise UsageError(f"no measurement is called {', '.join(sorted(unknown))}")
    result = matrix.run(
        args.scenarios, runs=args.runs, jobs=jobs, progress=_tell, impaired=args.impaired, log=args.log, runner=forked,
        kinds=kinds,
    )
    for path in (args.json, args.markdown):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    if args.json is not None:
        args.json.write_bytes(report.to_json(result))
    if args.markdown is not None:
        args.markdown.write_text(tables.to_markdown(result), "utf-8")
    else:
        print(tables.to_markdown(result), end="")
    return 0
