"""deploy/bench_daemon.py: a daemon that runs, by whose own account it is measured."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.scripts import load

pytestmark = pytest.mark.loopback


def test_a_daemon_runs_and_tells_what_it_has_spent(tmp_path: Path) -> None:
    config = tmp_path / "colibri.toml"
    config.write_text(f'[probe]\nstate_dir = "{tmp_path}"\n')
    daemon = load("bench_daemon").Daemon(subprocess.Popen, config, dict(os.environ))
    try:
        before = daemon.spent()
        assert 0.01 < before <= daemon.spent() < before + 5
        assert 10 < daemon.memory_mb() < 200
    finally:
        daemon.close()
    assert daemon._process.returncode == 0


def test_one_that_does_not_start_is_told(tmp_path: Path) -> None:
    config = tmp_path / "colibri.toml"
    config.write_text("nonsense\n")
    with pytest.raises(RuntimeError, match="did not get ready"):
        load("bench_daemon").Daemon(subprocess.Popen, config, dict(os.environ))
