"""deploy/install.sh, with stand-ins for apt, pip and Python: what it asks for, what it says, when it does nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A Python that makes an "environment" with itself in it, and whose pip only notes what it was asked.
PYTHON = """#!/bin/sh
case "$*" in
"-V") echo "Python 3.11.0" ;;
"-m venv --clear .venv")
    mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo "VIRTUAL_ENV=$PWD/.venv" >.venv/bin/activate ;;
*"pip"*) echo "pip $*" >>calls; [ ! -e pip-fails ] || { echo "no such host" >&2; exit 1; } ;;
*"sys.version_info[:2]"*) echo python3.11 ;;
"-m compileall"*) echo "compileall $*" >>calls ;;
esac
"""
APT = """#!/bin/sh
echo "apt-get $*" >>calls
case "$*" in *install*) [ ! -e apt-fails ] || { echo "E: Unable to locate package" >&2; exit 100; } ;; esac
"""
PKG_CONFIG = "#!/bin/sh\n[ ! -e systemd-missing ]\n"
LDCONFIG = """#!/bin/sh
echo libsodium.so.23
[ -e pango-missing ] || echo libpango-1.0.so.0 libpangoft2-1.0.so.0 libharfbuzz-subset.so.0
"""
FIND = "#!/bin/sh\n[ -e fonts-missing ] || echo /usr/share/fonts/some.ttf\n"
BASICS = ["bash", "cat", "cp", "dirname", "env", "grep", "id", "mkdir", "mktemp", "rm", "sh", "sha256sum", "tail"]
"""All of the real machine that the stand-in has: what else is on this one must not show."""
STUB = "#!/bin/sh\nexit 0\n"
NOBODY = "#!/bin/sh\necho 1000\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A clone of four files on a machine that has everything but the environment."""
    for part in ("deploy/install.sh", "deploy/shell.sh", "locks/dev.txt", "pyproject.toml"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    present = ["ip", "nft", "iptables", "mosquitto", "gcc", "git", "tshark", "chromium", "chromedriver", "openssl",
               "pdftotext", "mosquitto_sub"]  # fmt: skip
    tools = dict.fromkeys(present, STUB)
    tools |= {"python3": PYTHON, "apt-get": APT, "pkg-config": PKG_CONFIG, "ldconfig": LDCONFIG, "find": FIND}
    (tmp_path / "bin").mkdir()
    for tool in BASICS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    for tool, script in tools.items():
        add(tmp_path, tool, script)
    return tmp_path


def add(machine: Path, tool: str, script: str) -> None:
    (machine / "bin" / tool).unlink(missing_ok=True)  # it may be a link to the real one
    (machine / "bin" / tool).write_text(script)
    (machine / "bin" / tool).chmod(0o755)


def install(machine: Path, *profile: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "deploy/install.sh", *profile],
        cwd=machine, env={"PATH": f"{machine}/bin", "HOME": str(machine)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def calls(machine: Path, tool: str) -> list[str]:
    file = machine / "calls"
    return [line for line in file.read_text().splitlines() if line.startswith(tool)] if file.exists() else []


def test_a_machine_that_has_all_gets_the_environment_alone(machine: Path) -> None:
    done = install(machine)
    assert done.returncode == 0, done.stderr
    assert calls(machine, "apt-get") == []
    locked, own = [call for call in calls(machine, "pip") if " install " in call]
    assert "--require-hashes -r locks/dev.txt" in locked
    assert "--no-deps" in own
    assert own.endswith("-e .")
    assert calls(machine, "compileall") == ["compileall -m compileall -q probe"]


@pytest.mark.parametrize(("lacking", "packages"), [
    ("pango-missing", "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"),
    ("fonts-missing", "fonts-liberation fonts-hosny-amiri"),
])  # fmt: skip
def test_what_the_cover_of_a_dossier_is_drawn_with_is_installed(machine: Path, lacking: str, packages: str) -> None:
    (machine / lacking).touch()
    add(machine, "id", "#!/bin/sh\necho 0\n")
    install(machine)
    assert calls(machine, "apt-get")[-1].endswith(f"install --no-install-recommends {packages}")


def test_the_bench_wants_its_peers(machine: Path) -> None:
    add(machine, "id", "#!/bin/sh\necho 0\n")
    (machine / "locks/bench.txt").touch()
    add(machine, "python3", PYTHON + 'case "$*" in *aiodns*) exit 1 ;; esac\n')
    done = install(machine, "bench")
    assert done.returncode == 0, done.stderr
    assert calls(machine, "apt-get")[-1].endswith("install --no-install-recommends scamper nmap dnsperf util-linux")
    assert any("--require-hashes -r locks/bench.txt" in call for call in calls(machine, "pip"))


def test_a_second_run_does_and_says_nothing(machine: Path) -> None:
    install(machine)
    before = calls(machine, "pip")
    done = install(machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert calls(machine, "pip") == before


@pytest.mark.parametrize("file", ["locks/dev.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_again(machine: Path, file: str) -> None:
    install(machine)
    before = len(calls(machine, "pip"))
    with (machine / file).open("a") as text:
        text.write("# changed\n")
    assert install(machine).returncode == 0
    assert len(calls(machine, "pip")) > before


def test_what_is_missing_is_asked_of_apt_and_nothing_else(machine: Path) -> None:
    (machine / "systemd-missing").touch()
    add(machine, "id", "#!/bin/sh\necho 0\n")
    done = install(machine)
    assert done.returncode == 0, done.stderr
    assert "install: installing with apt: libsystemd-dev\n" in done.stderr
    update, installed = calls(machine, "apt-get")
    assert update.endswith(" update")
    assert installed.endswith("install --no-install-recommends libsystemd-dev")


def test_a_failing_apt_says_what_to_do(machine: Path) -> None:
    (machine / "systemd-missing").touch()
    (machine / "apt-fails").touch()
    add(machine, "id", "#!/bin/sh\necho 0\n")
    done = install(machine)
    assert done.returncode == 1
    assert "E: Unable to locate package" in done.stderr
    assert "sudo apt-get -f install" in done.stderr.splitlines()[-1]
    assert not (machine / ".venv").exists()


def test_without_root_it_goes_through_sudo(machine: Path) -> None:
    (machine / "systemd-missing").touch()
    add(machine, "id", NOBODY)
    add(machine, "sudo", '#!/bin/sh\necho "sudo $*" >>calls\nexec "$@"\n')
    assert install(machine).returncode == 0
    assert len(calls(machine, "sudo")) == len(calls(machine, "apt-get")) == 2


def test_without_root_and_sudo_it_says_so(machine: Path) -> None:
    (machine / "systemd-missing").touch()
    add(machine, "id", NOBODY)
    done = install(machine)
    assert done.returncode == 1
    assert done.stderr == "install: missing: libsystemd-dev. Run it as root, or install sudo\n"


def test_a_failed_pip_leaves_no_stamp(machine: Path) -> None:
    (machine / "pip-fails").touch()
    done = install(machine)
    assert done.returncode == 1
    assert "no such host" in done.stderr
    assert "check the network" in done.stderr.splitlines()[-1]
    (machine / "pip-fails").unlink()
    assert install(machine).returncode == 0
    assert install(machine).stderr == ""


def test_a_moved_environment_is_made_anew(machine: Path) -> None:
    install(machine)
    moved = machine.with_name(f"{machine.name}-moved")
    machine.rename(moved)
    add(moved, "python3", PYTHON)
    done = install(moved)
    assert "making .venv" in done.stderr
    assert f"{moved}/.venv" in (moved / ".venv/bin/activate").read_text()


@pytest.mark.parametrize("system", ["debian", "raspbian"])
def test_the_tests_need_a_browser(machine: Path, system: str) -> None:
    without_browser(machine, system)
    assert install(machine, "test").returncode == 0
    assert calls(machine, "apt-get")[-1].endswith(" chromium chromium-driver")


def test_ubuntu_has_its_browser_as_a_snap_only(machine: Path) -> None:
    without_browser(machine, "ubuntu")
    done = install(machine, "test")
    assert done.returncode == 0
    assert calls(machine, "apt-get") == []
    assert "the browser tests will be skipped" in done.stderr


def test_without_the_tests_no_browser_is_asked_for(machine: Path) -> None:
    without_browser(machine, "debian")
    assert install(machine).returncode == 0
    assert calls(machine, "apt-get") == []


def without_browser(machine: Path, system: str) -> None:
    for tool in ("chromium", "chromedriver"):
        (machine / "bin" / tool).unlink()
    (machine / "os-release").write_text(f"ID={system}\n")
    script = machine / "deploy/install.sh"
    script.write_text(script.read_text().replace("/etc/os-release", "os-release"))
