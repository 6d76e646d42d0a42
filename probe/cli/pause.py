"""``colibri pause`` and ``colibri resume``: measure nothing, until told otherwise."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.model.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri pause [--config FILE]``, and ``resume`` likewise."""
    parser.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names socket and state_dir")


def run(args: argparse.Namespace) -> int:
    """Pause. Raises CannotMeasure where the daemon is closed to this user, or nothing can be written down."""
    return hold(args, True)


def hold(args: argparse.Namespace, paused: bool) -> int:
    """Pause or resume, by the daemon where it runs, else in the file that it reads at its start; print what holds."""
    from probe.agent.config import load

    config = load(args.config)
    holders = asyncio.run(_ask(config, paused))
    if holders is None:
        holders = _without_daemon(config, paused)
        print("the daemon does not run; it will find this when it starts")
    if not holders:
        print("measuring goes on")
    else:
        print(*(f"paused by the {holder} since {since}" for holder, since in holders.items()), sep="\n")
        if not paused:
            print("that pause is for the operator of the probes to lift")
    return 0


async def _ask(config: Config, paused: bool) -> dict[str, str] | None:
    from probe.agent.control import PauseRequest, ResumeRequest, ask
    from probe.model.errors import CannotMeasure, ColibriError

    if not config.control.socket:
        return None
    try:
        async for answer in ask(config.control.socket, PauseRequest() if paused else ResumeRequest()):
            if "error" in answer:
                raise ColibriError(answer["error"])
            held: dict[str, str] = answer["paused"]
            return held
    except PermissionError:
        mend = f"be a member of the group {config.control.group}, or: sudo colibri {'pause' if paused else 'resume'}"
        raise CannotMeasure(f"{config.control.socket} is closed to this user", mend) from None
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except ConnectionError:
        pass
    raise CannotMeasure("the daemon gave no answer", "sudo systemctl restart colibri")


def _without_daemon(config: Config, paused: bool) -> dict[str, str]:
    from pathlib import Path

    from probe.agent.pause import Pause
    from probe.model.errors import CannotMeasure

    folder = Path(config.probe.state_dir)
    try:
        pause = Pause(folder)
        if paused:
            pause.hold("home")
        else:
            pause.release("home")
    except OSError as error:
        raise CannotMeasure(f"{folder} can't be written: {error.strerror}", "try it with sudo") from None
    return {str(holder): since for holder, since in pause.holders.items()}
