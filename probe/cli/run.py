"""``colibri run``: the daemon, or one round of everything with ``--once``."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri run [--once] [--config FILE]``."""
    parser.add_argument("--once", action="store_true", help="one round of all that is due, then end")
    parser.add_argument("--json", action="store_true", help="with --once: findings as JSON, one a line")
    parser.add_argument("--config", metavar="FILE", help="configuration file (TOML)")


def run(args: argparse.Namespace) -> int:
    """Run until stopped. Raises ConfigError; CannotMeasure where another daemon runs, or nothing could be measured."""
    import msgspec

    from probe.agent import daemon, journal
    from probe.cli.show import at_a_glance
    from probe.model.finding import Finding

    def show(finding: Finding) -> None:
        print(msgspec.json.encode(finding).decode() if args.json else at_a_glance(finding), flush=True)

    def keep_quiet(_finding: Finding) -> None:
        """The journal has it already."""

    journal.set_up()
    return daemon.run(args.config, args.once, show=show if args.once else keep_quiet)
