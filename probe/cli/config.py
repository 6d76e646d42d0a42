"""``colibri config check|show``: is the configuration right, and what is in force?"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri config check [FILE]``, ``colibri config show [FILE] [--help-text]``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="name the first error with its file and key")
    show = actions.add_parser("show", help="print what is in force, defaults included")
    for action in (check, show):
        action.add_argument("file", nargs="?", metavar="FILE", help="the file; none: the one in force")
    show.add_argument("--help-text", action="store_true", help="every option with its type, default and meaning")


def run(args: argparse.Namespace) -> int:
    """Check or show. Raises ConfigError for what is wrong with the file or a target list that it names."""
    from probe.agent.config import find, load, load_targets
    from probe.agent.jobs import jobs
    from probe.agent.options import describe, show

    if args.action == "show" and args.help_text:
        print(describe(), end="")
        return 0
    config = load(args.file)
    if args.action == "show":
        print(show(config), end="")
        return 0
    targets = load_targets(config)
    planned = jobs(targets, config)
    path = find(args.file)
    where = path or "no file, so the defaults hold"
    print(f"{where}: right; {len(targets)} targets, {len(planned)} measurements planned")
    return 0
