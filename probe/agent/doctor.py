"""What is missing on this device, and how to mend it. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

import msgspec

from probe.agent import line
from probe.agent.config import find, load, load_targets
from probe.agent.connection import connect
from probe.agent.control import StatusRequest, ask
from probe.agent.enrol_files import applied
from probe.agent.jobs import jobs
from probe.engine.clock import synchronised
from probe.model.config import Config
from probe.model.errors import ConfigError

_LEAST_FREE = 64_000_000  # bytes, besides what the spool may grow to
_BROKER_LIMIT = 10.0


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``mend`` is empty where all is well."""

    name: str
    ok: bool
    said: str
    mend: str = ""


async def examine(path: str | Path | None) -> list[Check]:
    """Look at everything; a bad configuration is a finding of the first check, and the rest goes by the defaults."""
    first, config = _configuration(path)
    running = await _daemon(config)
    return [first, running, _permission(running.ok), _clock(), _route(), await _broker(config), _disk(config)]


def _configuration(path: str | Path | None) -> tuple[Check, Config]:
    file = find(path)
    try:
        config = applied(load(file))
        planned = len(jobs(load_targets(config), config))
    except ConfigError as error:
        return Check("configuration", False, str(error), "correct it, then: colibri config check"), Config()
    said = str(file) if file else "none, so the defaults hold"
    if not planned:
        return Check("configuration", False, f"{said}: nothing to measure", "name a list in [targets] files"), config
    return Check("configuration", True, f"{said}: {planned} measurements planned"), config


async def _daemon(config: Config) -> Check:
    try:
        answers = [answer async for answer in ask(config.control.socket, StatusRequest())]
    except PermissionError:
        mend = f"be a member of the group {config.control.group}: sudo adduser $USER {config.control.group}"
        return Check("daemon", False, f"runs, but {config.control.socket} is closed to this user", mend)
    except OSError:
        return Check("daemon", False, "does not run", "sudo systemctl enable --now colibri")
    stalled = answers[0].get("stalled") if answers else ["no answer"]
    if stalled:
        return Check("daemon", False, f"runs, but is stuck: {stalled}", "sudo systemctl restart colibri")
    return Check("daemon", True, f"runs since {answers[0]['since']}")


def _permission(daemon: bool) -> Check:
    if _may_capture():
        return Check("permission", True, "packets can be captured")
    if daemon:
        return Check("permission", True, "not this user's, but the daemon's, which measures for it")
    return Check("permission", False, "no CAP_NET_RAW: can't capture packets", "run as root, or start the daemon")


def _may_capture() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except PermissionError:
        return False
    return True


def _clock() -> Check:
    if synchronised():
        return Check("clock", True, "synchronised")
    mend = "sudo timedatectl set-ntp true; the network must let NTP (UDP port 123) through"
    return Check("clock", False, "not synchronised: findings bear no trustworthy date", mend)


def _route() -> Check:
    try:
        link = line.detect()
    except OSError as error:
        return Check("route", False, f"can't be looked at: {error}", "allow AF_NETLINK sockets to this process")
    if not link.up:
        return Check("route", False, "no default route, or no address", "plug in the cable, or join the Wi-Fi")
    return Check("route", True, f"by {link.interface}")


async def _broker(config: Config) -> Check:
    mqtt = config.mqtt
    if not mqtt.host:
        return Check("broker", True, "none configured: findings stay on this device")
    if mqtt.tls is not None and mqtt.tls.certificate and (told := await _as_the_daemon_says(config)) is not None:
        return told
    try:
        # Without a client id of our own: the daemon's connection would be taken over.
        async with asyncio.timeout(_BROKER_LIMIT):
            connection = await connect(mqtt, "", config.probe.id or "colibri-doctor")
    except OSError as error:
        mend = "see [mqtt] in the configuration: host, port, tls, password_file"
        return Check("broker", False, f"{mqtt.host}: {str(error) or 'no answer'}", mend)
    await connection.close()
    return Check("broker", True, f"{mqtt.host} accepts us")


async def _as_the_daemon_says(config: Config) -> Check | None:
    """Where certificates name the clients, a second one of that name would take the daemon's place: it is asked."""
    try:
        (feed,) = [answer["feed"] async for answer in ask(config.control.socket, StatusRequest())]
    except (OSError, ValueError, KeyError):
        return None
    if feed["connected"]:
        return Check("broker", True, f"{config.mqtt.host} accepts the daemon")
    trouble = feed["trouble"] or "not connected yet"
    return Check("broker", False, f"{config.mqtt.host}: {trouble}", "see docs/enrolment.md")


def _disk(config: Config) -> Check:
    folder = Path(config.probe.state_dir)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK):
        mend = f"as root: chown the folder to this user, or set [probe] state_dir (it is {folder})"
        return Check("disk", False, f"{there} can't be written", mend)
    free = shutil.disk_usage(there).free
    spool = folder / "spool.sqlite3"
    needed = _LEAST_FREE + max(0, config.spool.max_bytes - (spool.stat().st_size if spool.exists() else 0))
    if free < needed:
        mend = "free some room, or lower [spool] max_bytes"
        return Check("disk", False, f"{free / 1e6:.0f} MB free, the spool may need {needed / 1e6:.0f} MB", mend)
    return Check("disk", True, f"{free / 1e6:.0f} MB free")
