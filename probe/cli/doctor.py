"""``colibri doctor``: what is missing on this device, and how to mend it."""

from __future__ import annotations

import argparse
import asyncio


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri doctor [--json] [--config FILE]``."""
    parser.add_argument("--json", action="store_true", help="as JSON, one check a line")
    parser.add_argument("--config", metavar="FILE", help="configuration file (TOML)")


def run(args: argparse.Namespace) -> int:
    """Print each check; 0 if all is well, 1 if something has to be mended."""
    import msgspec

    from probe.agent.doctor import examine

    checks = asyncio.run(examine(args.config))
    for check in checks:
        if args.json:
            print(msgspec.json.encode(check).decode())
        else:
            print(f"{'ok     ' if check.ok else 'PROBLEM'}  {check.name:<13}  {check.said}")
            if check.mend:
                print(f"{'':24}→ {check.mend}")
    return 0 if all(check.ok for check in checks) else 1
