"""A process of ours finds what its parent finds, wherever the parent was told where to look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import probe
from probe.agent.child import command, environment


def test_it_is_this_installation_s() -> None:
    done = subprocess.run(
        command("probe.agent.enrol_child", "renew", "/nowhere"), env=environment(), cwd="/", input=b"{}",
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert b"never enrolled" in done.stdout


def test_it_uses_the_same_byte_code() -> None:
    script = "from probe.agent.child import command; print(command('a.b', 'c')[1:])"
    for optimised in ([], ["-O"], ["-OO"]):
        done = subprocess.run(
            [sys.executable, *optimised, "-c", script], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == f"{[*optimised, '-m', 'a.b', 'c']}\n"


def test_a_program_that_says_itself_where_its_modules_are_has_such_children_too(tmp_path: Path) -> None:
    """As ``colibri`` of the image and of the package: Debian's Python, our modules elsewhere."""
    bare = getattr(sys, "_base_executable", sys.executable)
    places = [str(Path(module.__file__ or "").parents[1]) for module in (probe, msgspec)]
    script = (
        f"import sys\nsys.path[1:1] = {places!r}\n"
        "from probe.agent.enrol_child import Apart\nfrom probe.model.config import EnrolConfig\n"
        f"from probe.model.errors import ColibriError\ntry:\n    Apart(EnrolConfig(), {str(tmp_path)!r}).renew()\n"
        "except ColibriError as error:\n    print(error)"
    )
    alone = subprocess.run([bare, "-c", "import probe"], capture_output=True, cwd="/", check=False, timeout=60)
    if alone.returncode == 0:
        pytest.skip("this Python knows our modules by itself")
    done = subprocess.run([bare, "-c", script], capture_output=True, text=True, cwd="/", check=True, timeout=60)
    assert done.stdout == "enrol: this device was never enrolled\n"
