"""The demo's Mosquitto: on loopback, an account for each probe, and the access list of a real one."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from probe.model.errors import CannotMeasure

ACCESS = Path(__file__).with_name("broker.acl")
"""Who may say and hear what; a real broker uses the same file (deploy/mosquitto)."""
_SBIN = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def prepare(folder: Path, accounts: Mapping[str, str], port: int) -> list[str]:
    """Write passwords and configuration for accounts (name → password); returns the command that starts the broker.

    Raises CannotMeasure where Mosquitto is not installed.
    """
    program = shutil.which("mosquitto", path=_SBIN)
    hasher = shutil.which("mosquitto_passwd", path=_SBIN)
    if program is None or hasher is None:
        raise CannotMeasure("Mosquitto is not installed", "apt-get install mosquitto")
    passwords = folder / "passwords"
    passwords.touch(0o600)
    passwords.write_text("".join(f"{name}:{secret}\n" for name, secret in accounts.items()), "utf-8")
    # A session of its own: Ctrl-C is for us alone.
    done = subprocess.run(
        [hasher, "-U", passwords], capture_output=True, text=True, check=False, start_new_session=True
    )
    if done.returncode != 0:
        raise CannotMeasure(f"mosquitto_passwd: {done.stderr.strip() or done.returncode}")
    config = folder / "mosquitto.conf"
    # "user root": started by root it would become the user mosquitto, who can't read our files and, having changed its
    # user, would no longer die with us. It listens on loopback only.
    config.write_text(
        f"user root\npersistence false\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
        f"acl_file {ACCESS}\nmax_inflight_messages 0\nmax_queued_messages 0\n",
        "utf-8",
    )
    return [program, "-c", str(config)]


def free_port(wanted: int = 0) -> int:
    """A TCP port of 127.0.0.1 that nobody listens on: the one wanted if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a closed connection left does not count
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])
    return free_port()


def listens(port: int) -> bool:
    """Whether somebody accepts connections on that port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
