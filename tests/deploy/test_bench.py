"""deploy/bench.py, with a stand-in for the command: a daemon that says READY, dies, or does neither."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import DEPLOY, load

DAEMON = """#!{python}
import os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if sys.argv[1] == "--version":
    sys.exit(0)
assert sys.argv[1:3] == ["run", "--config"] and "[probe]" in open(sys.argv[3]).read()
ballast = bytearray(os.urandom(1 << 20) * {megabytes})
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
notify.send(b"STATUS=starting")
{then}
signal.sigwait([signal.SIGTERM])
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("bench")
    monkeypatch.setattr(module, "COLIBRI", str(tmp_path / "colibri"))
    monkeypatch.setattr(module, "SETTLED_AFTER_S", 0.0)
    monkeypatch.setattr(module, "RUNS", 1)
    return module


def daemon(folder: Path, then: str, megabytes: int = 1) -> None:
    file = folder / "colibri"
    file.write_text(DAEMON.format(python=sys.executable, then=then, megabytes=megabytes))
    file.chmod(0o755)


READY = 'notify.send(b"READY=1\\nSTATUS=idle")'


def test_memory_is_that_of_the_ready_daemon(bench: ModuleType, tmp_path: Path) -> None:
    daemon(tmp_path, READY)
    small, _ = bench.idle()
    daemon(tmp_path, READY, megabytes=40)
    assert 35 < bench.idle()[0] - small < 50


def test_it_is_timed_until_it_says_ready(bench: ModuleType, tmp_path: Path) -> None:
    daemon(tmp_path, f"import time; time.sleep(0.4); {READY}")
    assert 0.4 < bench.ready() < 10


def test_what_is_measured_runs_as_it_does_where_it_is_installed(bench: ModuleType) -> None:
    before = dict(os.environ)
    with bench.as_installed():
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-c", "import sys, colorsys; print(sys.flags.optimize, colorsys.__cached__)"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        optimised, cached = done.stdout.split()
        assert optimised == "2"
        assert cached.startswith(os.environ["PYTHONPYCACHEPREFIX"])
        assert cached.endswith(".opt-2.pyc")
        assert Path(cached).exists()
    assert dict(os.environ) == before
    assert not Path(cached).exists()


def test_a_daemon_that_dies_is_told_with_its_words(bench: ModuleType, tmp_path: Path) -> None:
    daemon(tmp_path, 'print("no such thing"); sys.exit(3)')
    with pytest.raises(RuntimeError, match="did not get ready:\nno such thing"):
        bench.idle()


def test_a_daemon_that_never_gets_ready_is_ended(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "READY_WITHIN_S", 0.5)
    daemon(tmp_path, "")
    with pytest.raises(RuntimeError, match="did not get ready"):
        bench.idle()


@pytest.fixture
def roomy(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Budgets that nobody misses."""
    for name, budget in (("MEMORY_BUDGET_MB", 1000.0), ("START_BUDGET_S", 60.0), ("READY_BUDGET_S", 50.0)):
        monkeypatch.setattr(bench, name, budget)
    return bench


@pytest.mark.parametrize(("budget", "status"), [(1000.0, 0), (1.0, 1)])
def test_it_prints_all_figures_and_fails_over_budget(
    roomy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    budget: float, status: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(roomy, "MEMORY_BUDGET_MB", budget)
    daemon(tmp_path, READY)
    assert roomy.main([]) == status
    told = capsys.readouterr()
    assert " ms | 60000 ms | yes |" in told.out
    assert " ms | 50000 ms | yes |" in told.out
    assert f" MB | {budget:.0f} MB | {'**no**' if status else 'yes'} |" in told.out
    assert told.err == ("bench: failed: idle, without a broker: resident\n" if status else "")


@pytest.mark.parametrize(("budget", "then", "status"), [(0.0, 0, 1), (60.0, 0, 0), (60.0, 3, 1)])
def test_a_missed_budget_keeps_nothing_from_being_measured_and_written(
    roomy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float, then: int, status: int
) -> None:
    monkeypatch.setattr(roomy, "START_BUDGET_S", budget)
    daemon(tmp_path, READY)
    page, done = tmp_path / "page.md", tmp_path / "done"
    page.write_text("before\n<!-- start: begin -->\nold\n<!-- start: end -->\nafter\n")
    engine = ["sh", "-c", f"touch {done}; exit {then}"]
    assert roomy.main(["--write", str(page), "--", *engine]) == status
    assert done.exists()
    text = page.read_text()
    assert text.startswith("before\n<!-- start: begin -->\n\nMedians of 1,")
    assert text.endswith("|\n\n<!-- start: end -->\nafter\n")
    assert "old" not in text
    assert text.count("| **no** |") == (budget == 0.0)


def test_a_daemon_that_does_not_get_ready_fails_in_the_end(
    roomy: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon(tmp_path, 'print("no such thing"); sys.exit(3)')
    assert roomy.main(["--", "sh", "-c", f"touch {tmp_path / 'done'}"]) == 1
    assert (tmp_path / "done").exists()
    told = capsys.readouterr()
    assert told.out.count("| **not ready** |") == 2
    assert "no such thing" in told.err


def test_the_page_has_the_marks(bench: ModuleType) -> None:
    text = (DEPLOY.parent / "docs/benchmarks.md").read_text()
    assert f"<!-- {bench.SECTION}: begin -->" in text
