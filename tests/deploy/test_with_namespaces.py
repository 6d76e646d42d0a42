"""deploy/with-namespaces.sh, with stand-ins for id, unshare, ip and sudo."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/with-namespaces.sh"
SUDO = "sudo --preserve-env=CI,DEMO_SECONDS,HYPOTHESIS_PROFILE\ndone\n"


def run(
    folder: Path, user: int, *, unshare: bool, sudo: bool, visible: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run ``echo done`` through the script on a machine like that."""
    inside = 'case "$4" in true) ;; *) echo "unshare $1 $2 $3"; shift 3; exec "$@";; esac'
    tools = {"id": f"echo {user}", "unshare": inside if unshare else "exit 1", "ip": 'echo "ip $*"'}
    if sudo:
        tools["sudo"] = 'echo "sudo $1"; shift; exec "$@"'
    for tool, line in tools.items():
        (folder / tool).write_text(f"#!/bin/sh\n{line}\n")
        (folder / tool).chmod(0o755)
    for tool in ("env", "echo", "sh"):
        (folder / tool).symlink_to(f"/bin/{tool}")
    return subprocess.run(
        ["/bin/bash", str(SCRIPT), *(["--visible"] if visible else []), "echo", "done"],
        env={"PATH": str(folder)}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize("visible", [False, True])
def test_root_runs_the_command_as_it_is(tmp_path: Path, visible: bool) -> None:
    done = run(tmp_path, 0, unshare=False, sudo=True, visible=visible)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_user_gets_a_network_of_their_own_with_a_loopback(tmp_path: Path) -> None:
    done = run(tmp_path, 1000, unshare=True, sudo=True)
    assert done.stdout == "unshare --user --map-root-user --net\nip link set lo up\ndone\n"
    assert done.stderr == ""


def test_what_must_be_visible_goes_through_sudo_first(tmp_path: Path) -> None:
    done = run(tmp_path, 1000, unshare=True, sudo=True, visible=True)
    assert done.stdout == SUDO
    assert "running through sudo" in done.stderr


def test_without_sudo_what_is_not_visible_runs_and_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, 1000, unshare=True, sudo=False, visible=True)
    assert done.stdout.endswith("done\n")
    assert "no browser reaches it" in done.stderr


@pytest.mark.parametrize("visible", [False, True])
def test_where_only_root_can_it_goes_through_sudo_and_says_so(tmp_path: Path, visible: bool) -> None:
    done = run(tmp_path, 1000, unshare=False, sudo=True, visible=visible)
    assert done.stdout == SUDO
    assert "running through sudo" in done.stderr


def test_without_sudo_it_says_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path, 1000, unshare=False, sudo=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run it as root" in done.stderr
