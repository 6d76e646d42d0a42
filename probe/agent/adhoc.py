"""One measurement for a person at the keyboard: through the daemon where it runs, else in this process."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from probe import __version__
from probe.agent.control import MeasureRequest, ask
from probe.agent.enrol_files import EnrolFiles
from probe.agent.findings import assemble
from probe.agent.identity import Identity
from probe.agent.pause import PausableRunner, Pause
from probe.agent.runner import Runner
from probe.model.config import Config
from probe.model.errors import CannotMeasure, ColibriError, UsageError
from probe.model.finding import Finding, Line, Probe

UNSAVED = "p-unsaved"
"""The probe's id where nothing can be kept on this device: its findings are not signed."""


async def through_daemon(
    config: Config, measurement: str, options: Mapping[str, Any], progress: Callable[[str], None]
) -> tuple[Finding, bytes] | None:
    """Ask the daemon (contract 2: a user in the group needs no root). None where no daemon listens, or not for us."""
    if not config.control.socket:
        return None
    try:
        async for answer in ask(config.control.socket, MeasureRequest(measurement, dict(options))):
            if "progress" in answer:
                progress(answer["progress"])
            elif "error" in answer:
                error = UsageError if answer.get("exit_status") == UsageError.exit_status else ColibriError
                raise error(answer["error"])
            else:
                return msgspec.convert(answer["finding"], Finding), base64.b64decode(answer.get("pcapng", ""))
    except (FileNotFoundError, ConnectionRefusedError, PermissionError):
        return None
    except ConnectionError as error:
        raise CannotMeasure(f"the daemon broke off: {error}", "is it still running? `colibri status`") from None
    raise CannotMeasure("the daemon gave no answer", "is it still running? `colibri status`")


async def in_process(
    runner: Runner, config: Config, measurement: str, options: Mapping[str, Any], progress: Callable[[str], None]
) -> tuple[Finding, bytes]:
    """Measure here (needs CAP_NET_RAW), unless this device is paused. The finding is signed where this user may keep a
    key."""
    if os.access(config.probe.state_dir, os.X_OK):  # else it is another user's daemon, whose pause can't be seen
        runner = PausableRunner(runner, Pause(Path(config.probe.state_dir)))
    outcome = await runner.run(measurement, options, progress)
    identity = _identity(config)
    finding = assemble(
        outcome,
        probe=Probe(identity.id if identity else UNSAVED, f"colibri {__version__}"),
        line=msgspec.convert(msgspec.to_builtins(config.line), Line),
        group="",
        entropy=os.urandom,
    )
    return (identity.sign(finding) if identity else finding), outcome.pcapng


def _identity(config: Config) -> Identity | None:
    """The device's, or this user's own where the daemon's folder is not ours, or none."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    for folder in (Path(config.probe.state_dir), Path(home) / "colibri"):
        try:
            if folder != Path(config.probe.state_dir):
                folder.mkdir(parents=True, exist_ok=True)
            member = EnrolFiles(folder).membership
            identity = Identity(folder, member.name if member is not None else config.probe.id)
            identity.public_key  # noqa: B018 - made now, so that a folder that can't be written is passed over
        except OSError:
            continue
        return identity
    return None
