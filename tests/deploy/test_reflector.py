"""deploy/reflector/install.sh, with stand-ins for apt, pip, Python and systemd: what it installs, writes and starts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
case "$*" in
"-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
*"pip"*) echo "pip $*" >>"$DESTDIR/calls"; [ ! -e "$DESTDIR/pip-fails" ] || { echo "no such host" >&2; exit 1; } ;;
esac
"""
NOTES = '#!/bin/sh\necho "$(basename "$0") $*" >>"$DESTDIR/calls"\n'
FAILS = NOTES + "case $1 in restart) exit 1 ;; esac\n"
BASICS = [
    "basename", "bash", "cat", "cp", "dirname", "env", "install", "ln", "mkdir", "mktemp", "rm", "sed", "sh", "tail",
    "tr",
]  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A server, and a clone of the files that the installer needs."""
    for part in (
        "deploy/common.sh", "deploy/shell.sh", "deploy/reflector/install.sh", "locks/probe.txt",
        "systemd/colibri.sysusers", "systemd/colibri.tmpfiles", "systemd/colibri-reflector.service",
    ):  # fmt: skip
        (tmp_path / "clone" / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / "clone" / part)
    (tmp_path / "bin").mkdir()
    for tool in BASICS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    for tool, script in {"python3": PYTHON, "id": "#!/bin/sh\necho 0\n"}.items():
        add(tmp_path, tool, script)
    for tool in ("apt-get", "systemctl", "systemd-sysusers", "systemd-tmpfiles", "nft"):
        add(tmp_path, tool, NOTES)
    return tmp_path


def add(machine: Path, tool: str, script: str) -> None:
    (machine / "bin" / tool).write_text(script)
    (machine / "bin" / tool).chmod(0o755)


def install(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{machine}/bin", "DESTDIR": str(machine)}
    return subprocess.run(
        ["bash", "clone/deploy/reflector/install.sh", *arguments], cwd=machine, stdin=subprocess.DEVNULL,
        env=environment, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def calls(machine: Path, tool: str) -> list[str]:
    file = machine / "calls"
    return [line for line in file.read_text().splitlines() if line.startswith(tool)] if file.exists() else []


def test_all_is_installed_and_started(machine: Path) -> None:
    done = install(machine, "--name", "reflector.example", "--zone", "r.example")
    assert done.returncode == 0, done.stderr
    assert (machine / "etc/colibri/reflector.env").read_text() == "OPTIONS=--name reflector.example --zone r.example\n"
    unit = machine / "etc/systemd/system/colibri-reflector.service"
    assert unit.read_text() == (ROOT / "systemd/colibri-reflector.service").read_text()
    assert "colibri-reflector" in (machine / "usr/lib/sysusers.d/colibri.conf").read_text()
    assert (machine / "usr/bin/colibri").readlink() == Path("/opt/colibri/venv/bin/colibri")
    locked, own = calls(machine, "pip")
    assert "--require-hashes -r locks/probe.txt" in locked
    assert own.endswith("--no-deps --force-reinstall .")
    assert [call.split()[1] for call in calls(machine, "systemctl")] == ["daemon-reload", "enable", "restart"]
    assert not unit.with_name("colibri-reflector.service.d").exists()


@pytest.mark.parametrize("words", [["--silent", "203.0.113.191,2001:db8::91"], ["--silent=203.0.113.191,2001:db8::91"]])
def test_a_silent_address_gets_its_rule(machine: Path, words: list[str]) -> None:
    assert install(machine, *words).returncode == 0
    rules = (machine / "etc/colibri/reflector-silent.nft").read_text()
    assert "    ip daddr 203.0.113.191 drop\n    ip6 daddr 2001:db8::91 drop\n" in rules
    extra = (machine / "etc/systemd/system/colibri-reflector.service.d/silent.conf").read_text()
    assert "ExecStartPre=+nft -f /etc/colibri/reflector-silent.nft" in extra
    nft = shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin")
    if nft is not None:
        command = [nft, "-c", "-f", str(machine / "etc/colibri/reflector-silent.nft")]
        checked = subprocess.run(command, capture_output=True, check=False)
        assert checked.returncode == 0 or b"Operation not permitted" in checked.stderr


def test_run_again_it_keeps_its_options_or_takes_new_ones(machine: Path) -> None:
    install(machine, "--silent", "203.0.113.191")
    assert install(machine).returncode == 0
    assert "--silent 203.0.113.191" in (machine / "etc/colibri/reflector.env").read_text()
    assert (machine / "etc/systemd/system/colibri-reflector.service.d/silent.conf").exists()
    assert install(machine, "--zone", "r.example").returncode == 0
    assert (machine / "etc/colibri/reflector.env").read_text() == "OPTIONS=--zone r.example\n"
    assert not (machine / "etc/systemd/system/colibri-reflector.service.d").exists()


@pytest.mark.parametrize("word", ["a b", "$(reboot)", "x;y", "é"])
def test_an_argument_that_a_unit_can_t_hold_is_refused(machine: Path, word: str) -> None:
    done = install(machine, "--name", word)
    assert done.returncode == 1
    assert "can't be an option" in done.stderr
    assert not (machine / "etc/colibri/reflector.env").exists()


def test_what_fails_says_what_to_do(machine: Path) -> None:
    (machine / "pip-fails").touch()
    done = install(machine)
    assert done.returncode == 1
    assert "no such host" in done.stderr
    (machine / "pip-fails").unlink()
    add(machine, "systemctl", FAILS)
    done = install(machine)
    assert done.returncode == 1
    assert done.stderr.endswith("it does not start: journalctl -u colibri-reflector.service\n")


def test_only_root_may(machine: Path) -> None:
    add(machine, "id", "#!/bin/sh\necho 1000\n")
    done = install(machine)
    assert (done.returncode, done.stderr) == (1, "install-reflector: run it as root\n")
    assert not (machine / "calls").exists()


def test_it_can_be_taken_away(machine: Path) -> None:
    install(machine, "--silent", "203.0.113.191")
    assert install(machine, "--uninstall").returncode == 0
    assert not (machine / "etc/systemd/system/colibri-reflector.service").exists()
    assert not (machine / "etc/systemd/system/colibri-reflector.service.d").exists()
    assert list((machine / "etc/colibri").iterdir()) == []
    assert "nft delete table inet colibri_silent" in calls(machine, "nft")
