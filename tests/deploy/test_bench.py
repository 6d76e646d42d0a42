"""deploy/bench.py, with a stand-in for the command: a daemon that says READY, dies, or does neither."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "deploy/bench.py"

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
    spec = importlib.util.spec_from_file_location("colibri_bench", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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


@pytest.mark.parametrize(("budget", "status"), [(1000.0, 0), (1.0, 1)])
def test_it_prints_all_figures_and_fails_over_budget(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    budget: float, status: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(bench, "MEMORY_BUDGET_MB", budget)
    monkeypatch.setattr(bench, "START_BUDGET_S", 60.0)
    monkeypatch.setattr(bench, "READY_BUDGET_S", 50.0)
    daemon(tmp_path, READY)
    assert bench.main() == status
    printed = capsys.readouterr().out
    assert " ms   (budget 60000 ms)" in printed
    assert " ms   (budget 50000 ms)" in printed
    assert f" MB   (budget {budget:.0f} MB)" in printed
