"""Target lists that come over the feed: vouched for by TUF metadata (threshold keys, expiry, no rollback), then checked
entry by entry as if an enemy had signed them.

The metadata is verified in a process of its own (:mod:`probe.agent.lists_child`): its library takes 8 MB that the
daemon would never give back.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from pathlib import Path

import msgspec

from probe.agent.child import command, environment
from probe.agent.config import check_target, entries_of
from probe.agent.files import write_whole
from probe.agent.requests import RefusedError
from probe.agent.requests_where import check
from probe.engine.guard import Guard
from probe.model.config import Config, TargetEntry
from probe.model.errors import ColibriError
from probe.model.finding import Instant
from probe.model.request import Bundle

log = logging.getLogger(__name__)

NAME = "targets.toml"
"""The list's name in the metadata."""
MOST = 512 * 1024
"""Most bytes of a bundle: the broker takes no more."""
MOST_TARGETS = 2000
LEAST_EVERY = 300.0
"""Seconds between two measurements of one target, at least, whatever a list says."""
_WITHIN = 60.0


class Accepted(msgspec.Struct, frozen=True):
    """A list in force (``accepted.json``). ``signed``: the latest time that its metadata tells."""

    version: int
    expires: Instant
    signed: Instant
    targets: str


def folder_of(config: Config) -> Path:
    """Where lists and their metadata are kept."""
    return Path(config.probe.state_dir) / "lists"


def in_force(config: Config, wall: float | None = None) -> list[TargetEntry]:
    """The targets of the list that was accepted last; none where there is none, or it has expired."""
    path = folder_of(config) / "accepted.json"
    try:
        accepted = msgspec.json.decode(path.read_bytes(), type=Accepted)
        entries = entries_of(path, accepted.targets.encode())
    except FileNotFoundError:
        return []
    except (msgspec.DecodeError, ColibriError) as error:
        log.error("the accepted target list can't be read, nothing of it is measured: %s", error)
        return []
    now = max(time.time() if wall is None else wall, epoch(accepted.signed))
    if epoch(accepted.expires) < now:
        log.warning("target list %d expired at %s: nothing of it is measured", accepted.version, accepted.expires)
        return []
    return entries


async def take(payload: bytes, config: Config, guard: Guard, now: float) -> Accepted | None:
    """Put a bundle in force; None where it is the one that is in force already. Raises RefusedError, OSError."""
    if len(payload) > MOST:
        raise RefusedError(f"{len(payload)} bytes, and {MOST} are the most")
    try:
        msgspec.json.decode(payload, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(f"is not a bundle: {error}") from None
    folder = folder_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    accepted = await _verified(payload, Path(config.targets.root), folder, now)
    examine(accepted, config, guard)
    path = folder / "accepted.json"
    encoded = msgspec.json.encode(accepted)
    if path.exists() and path.read_bytes() == encoded:
        return None
    write_whole(path, encoded)
    return accepted


def examine(accepted: Accepted, config: Config, guard: Guard) -> list[TargetEntry]:
    """The entries of a list whose signatures are right. Raises RefusedError for one that must not be measured."""
    try:
        entries = entries_of(Path(NAME), accepted.targets.encode())
        if not 0 < len(entries) <= MOST_TARGETS:
            raise RefusedError(f"{len(entries)} targets, and {MOST_TARGETS} are the most")
        for i, entry in enumerate(entries):
            where = f"targets[{i}]"
            check_target(where, entry, config)
            if entry.every is not None and entry.every < LEAST_EVERY:
                raise RefusedError(f"{where}.every: {entry.every:g} s is less than {LEAST_EVERY:g}")
            places: dict[str, object] = {"target": entry.target, "address": entry.address, **entry.options}
            check(places, guard)
    except ColibriError as error:
        raise RefusedError(str(error)) from None
    return entries


def epoch(instant: str) -> float:
    """Seconds since the epoch."""
    return dt.datetime.fromisoformat(instant).timestamp()


async def _verified(payload: bytes, root: Path, folder: Path, now: float) -> Accepted:
    child = await asyncio.create_subprocess_exec(
        *command("probe.agent.lists_child", str(root), str(folder), str(now)), env=environment(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_WITHIN):
            said, errors = await child.communicate(payload)
    except BaseException:
        if child.returncode is None:
            child.kill()
            await child.wait()
        raise
    if child.returncode == 0:
        return msgspec.json.decode(said, type=Accepted)
    lines = errors.decode(errors="replace").strip().splitlines()
    raise RefusedError(lines[-1] if lines else f"the check ended with status {child.returncode}")
