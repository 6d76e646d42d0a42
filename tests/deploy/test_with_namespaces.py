"""deploy/with-namespaces.sh, with stand-ins for id, unshare and sudo."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/with-namespaces.sh"


def run(folder: Path, user: int, unshare: bool, sudo: bool) -> subprocess.CompletedProcess[str]:
    """Run ``echo done`` through the script on a machine like that."""
    tools = {"id": f"echo {user}", "unshare": f"exit {0 if unshare else 1}"}
    if sudo:
        tools["sudo"] = 'echo "sudo $1"; shift; exec "$@"'
    for tool, line in tools.items():
        (folder / tool).write_text(f"#!/bin/sh\n{line}\n")
        (folder / tool).chmod(0o755)
    for tool in ("env", "echo", "sh"):
        (folder / tool).symlink_to(f"/bin/{tool}")
    return subprocess.run(
        ["/bin/bash", str(SCRIPT), "echo", "done"],
        env={"PATH": str(folder)}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize(("user", "unshare"), [(0, False), (1000, True)])
def test_where_namespaces_can_be_made_the_command_runs_as_it_is(tmp_path: Path, user: int, unshare: bool) -> None:
    done = run(tmp_path, user, unshare, sudo=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_where_only_root_can_it_goes_through_sudo_and_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, 1000, unshare=False, sudo=True)
    assert done.stdout == "sudo --preserve-env=CI,DEMO_SECONDS,HYPOTHESIS_PROFILE\ndone\n"
    assert "running through sudo" in done.stderr


def test_without_sudo_it_says_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path, 1000, unshare=False, sudo=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run it as root" in done.stderr
