"""``colibri page run|code``: the home's own page on the local network, and the code that changes anything there."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    run_ = actions.add_parser("run", help="serve the page until stopped")
    run_.add_argument("--listen", metavar="ADDR:PORT", default="127.0.0.1:8081",
                      help="where, if systemd hands over no socket (default 127.0.0.1:8081)")  # fmt: skip
    run_.add_argument("--daemon", metavar="SOCKET", default="/run/colibri/page.sock", help="the daemon's socket for it")
    run_.add_argument("--card", metavar="FILE", default="/run/firstboot/COLIBRI-STATUS.txt",
                      help="report that is shown while no daemon answers")  # fmt: skip
    run_.add_argument("--idle", metavar="SECONDS", type=float, default=0.0,
                      help="end when nobody has asked for so long; 0: never")  # fmt: skip
    code = actions.add_parser("code", help="print the code of this device")
    code.add_argument("--config", metavar="FILE", help="configuration file (TOML), with [page]")


def run(args: argparse.Namespace) -> int:
    """Serve, or print the code. Raises UsageError, ConfigError, CannotMeasure, OSError where it can't listen."""
    return _code(args) if args.action == "code" else _run(args)


def _run(args: argparse.Namespace) -> int:
    import os
    from pathlib import Path

    from probe.page.ask import Daemon
    from probe.page.server import Server, listener

    with listener(args.listen, dict(os.environ)) as at:
        Server(at, Daemon(args.daemon), Path(args.card), args.idle).serve()
    return 0


def _code(args: argparse.Namespace) -> int:
    from pathlib import Path

    from probe.agent.config import load
    from probe.agent.home import code_file
    from probe.agent.page_code import code
    from probe.model.errors import CannotMeasure

    config = load(args.config)
    path = code_file(config.page, Path(config.probe.state_dir))
    try:
        print(code(path))
    except OSError as error:
        mend = f"be a member of the group {config.control.group}, or try it with sudo"
        raise CannotMeasure(f"{path}: {error.strerror}", mend) from None
    return 0
