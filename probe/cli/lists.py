"""``colibri lists``: target lists signed with keys that are kept offline (docs/lists.md)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probe.model.errors import ColibriError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from probe.agent.lists_repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    key = verbs.add_parser("key", help="make a key; its public half is printed")
    key.add_argument("file", metavar="FILE", help="where it is kept (never written over)")
    init = verbs.add_parser("init", help="begin a repository: whose signatures a list needs")
    init.add_argument("--signer", metavar="PUBLIC", action="append", required=True, help="a signer's public key")
    init.add_argument("--threshold", metavar="N", type=int, default=2, help="so many of them have to sign (default 2)")
    init.add_argument("--online", metavar="PUBLIC", required=True, help="public key that says which list is the newest")
    stage = verbs.add_parser("stage", help="a list that is to be signed")
    stage.add_argument("list", metavar="LIST", help="the target list (TOML)")
    stage.add_argument("--days", metavar="N", type=float, default=90.0, help="days that it is good for (default 90)")
    sign = verbs.add_parser("sign", help="add a signature to all that is staged")
    publish = verbs.add_parser("publish", help="put it in force: writes bundle.json")
    publish.add_argument("--days", metavar="N", type=float, default=14.0,
                         help="days for which it is known to be the newest (default 14)")  # fmt: skip
    publish.add_argument("--send", action="store_true", help="hand it to the broker as well")
    publish.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the broker")
    for one in (init, stage, sign, publish):
        one.add_argument("--repository", metavar="DIR", default=".", help="its folder (default: here)")
    for one in (sign, publish):
        one.add_argument("--key", metavar="FILE", required=True, help="the private key")
    check = verbs.add_parser("check", help="whether a probe would accept a bundle, and what is in it")
    check.add_argument("bundle", metavar="BUNDLE", help="the file bundle.json")
    check.add_argument("--root", metavar="FILE", required=True, help="the root of trust that the probe has")
    check.add_argument("--config", metavar="FILE", help="configuration file (TOML) of the probe")


def run(args: argparse.Namespace) -> int:
    """Do it. Raises UsageError, ConfigError, ColibriError for a bundle that a probe would refuse, OSError."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "key": _key, "init": _init, "stage": _stage, "sign": _sign, "publish": _publish, "check": _check,
    }  # fmt: skip
    return actions[args.action](args)


def _repository(args: argparse.Namespace) -> Repository:
    import time
    from pathlib import Path

    from probe.agent.lists_repository import Repository

    return Repository(Path(args.repository), time.time())


def _key(args: argparse.Namespace) -> int:
    from pathlib import Path

    from probe.agent.lists_repository import make_key

    print(make_key(Path(args.file)))
    return 0


def _init(args: argparse.Namespace) -> int:
    _repository(args).init(args.signer, args.threshold, args.online)
    print(f"staged: a root that takes {args.threshold} of {len(args.signer)} signatures")
    return 0


def _stage(args: argparse.Namespace) -> int:
    from pathlib import Path

    from probe.agent.config import entries_of

    path = Path(args.list)
    entries = entries_of(path, path.read_bytes())
    print(f"staged: list {_repository(args).stage(path, args.days)}, {len(entries)} targets, for {args.days:g} days")
    return 0


def _sign(args: argparse.Namespace) -> int:
    from pathlib import Path

    from probe.agent.lists_repository import read_key

    print(*_repository(args).sign(read_key(Path(args.key))), sep="\n")
    return 0


def _publish(args: argparse.Namespace) -> int:
    from pathlib import Path

    from probe.agent.lists_repository import bundle_bytes, read_key
    from probe.cli.request import send
    from probe.model.request import LISTS

    repository = _repository(args)
    bundle = repository.publish(read_key(Path(args.key)), args.days)
    print(f"{repository.bundle}: {len(bundle_bytes(bundle))} bytes; probes are given {repository.root}")
    if args.send:
        send(args.config, {LISTS: bundle_bytes(bundle)}, retain=True)
        print("the broker has it")
    return 0


def _check(args: argparse.Namespace) -> int:
    import asyncio
    import tempfile
    import time
    from pathlib import Path

    import msgspec

    from probe.agent import lists
    from probe.agent.config import load
    from probe.engine.guard import Guard, networks

    config = load(args.config)
    guard = Guard(networks(config.safety.allow_networks))
    data = Path(args.bundle).read_bytes()
    with tempfile.TemporaryDirectory() as folder:  # a probe that has seen no list before
        config = msgspec.structs.replace(
            config,
            probe=msgspec.structs.replace(config.probe, state_dir=folder),
            targets=msgspec.structs.replace(config.targets, root=str(_existing(args.root))),
        )
        try:
            accepted = asyncio.run(lists.take(data, config, guard, time.time()))
        except ColibriError as error:
            raise ColibriError(f"{args.bundle}: a probe would refuse it: {error}") from None
        entries = lists.in_force(config)
    if accepted is None:
        raise ColibriError(f"{args.bundle}: nothing was accepted")
    print(f"list {accepted.version}, good until {accepted.expires}, {len(entries)} targets:")
    for entry in entries:
        print(f"  {entry.target}  {', '.join(entry.measurements)}  {entry.group}")
    return 0


def _existing(text: str) -> Path:
    from pathlib import Path

    path = Path(text).absolute()
    if not path.exists():
        raise UsageError(f"{text}: there is no such file")
    return path
