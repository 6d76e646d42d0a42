"""``colibri status``: what the daemon is doing."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri status [--json] [--config FILE]``."""
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the socket")


def run(args: argparse.Namespace) -> int:
    """Print what the daemon says of itself. Raises CannotMeasure where it does not run or is closed to this user."""
    import msgspec

    from probe.agent.config import load

    control = load(args.config).control
    answer = asyncio.run(_ask(control.socket, control.group))
    print(msgspec.json.encode(answer).decode() if args.json else "\n".join(lines(answer)))
    return 0


async def _ask(socket: str, group: str) -> dict[str, Any]:
    from probe.agent.control import StatusRequest, ask
    from probe.model.errors import CannotMeasure

    try:
        async for answer in ask(socket, StatusRequest()):
            return answer
    except PermissionError:
        raise CannotMeasure(f"{socket} is closed to this user", f"be a member of the group {group}") from None
    except OSError:
        raise CannotMeasure("the daemon does not run", "sudo systemctl start colibri, or: colibri run") from None
    raise CannotMeasure("the daemon gave no answer", "sudo systemctl restart colibri")


def lines(status: dict[str, Any]) -> list[str]:
    """The status for a person at a terminal."""
    line, feed, spool = status["line"], status["feed"], status["spool"]
    described = ", ".join(str(line[key]) for key in ("operator", "country", "access") if line[key]) or "unknown"
    link = f"up on {status['link']['interface']}" if status["link"]["up"] else "down, or not known yet"
    trouble = feed["trouble"] or "not yet"
    reached = "no broker configured" if not feed["host"] else "connected" if feed["connected"] else trouble
    counts = ", ".join(f"{n} {verdict}" for verdict, n in sorted(status["counts"].items())) or "none yet"
    dropped = sum(spool["dropped"].values())
    told = [
        f"probe     {status['probe']} ({status['software']}, since {status['since']})",
        f"line      {described}; {link}",
        f"feed      {feed['host']}: {reached}" if feed["host"] else f"feed      {reached}",
        f"spool     {spool['depth']} findings wait" + (f"; {dropped} were dropped for want of room" if dropped else ""),
        f"findings  {counts}",
        f"planned   {status['planned']} measurements",
    ]
    told += [f"PAUSED    by the {holder} since {since}" for holder, since in status["paused"].items()]
    told += [f"now       {job['measurement']} {job['target']}" for job in status["running"]]
    told += [f"next      in {job['in_s']:.0f} s: {job['measurement']} {job['target']}" for job in status["next"]]
    if status["stalled"]:
        told.append(f"stuck     {', '.join(status['stalled'])}")
    return told
