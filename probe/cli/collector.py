"""``colibri collector run``: subscribe, store each finding once, answer ``stored``, and serve the live monitor."""

from __future__ import annotations

import argparse

from probe.model.errors import ColibriError

EXTRA = ("jinja2", "starlette", "uvicorn")
"""Modules of the optional extra."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``run`` and its options."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    run_parser = verbs.add_parser("run", help="subscribe, store, and serve the monitor until stopped")
    run_parser.add_argument("--config", metavar="FILE", help="configuration file (TOML)")
    run_parser.add_argument("--listen", metavar="ADDRESS:PORT", help="where the monitor listens, e.g. 127.0.0.1:8080")


def run(args: argparse.Namespace) -> int:
    """Run the collector until SIGTERM or SIGINT. Raises ConfigError, StoreError, or ColibriError without the extra."""
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
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        raise ColibriError(f"the collector needs {missing}: pip install 'colibri-probe[collector]'") from error
    journal.set_up()
    return service.run(config, lambda: Notifier().ready(f"monitor on {config.collector.listen}"))
