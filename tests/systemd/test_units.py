"""The unit files: systemd understands them, and they let the daemons do what they need and little else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's package systemd")


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def service(name: str) -> dict[str, list[str]]:
    """Settings of the [Service] section; one that stands several times has several values."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().partition("[Service]")[2].partition("[Install]")[0].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("unit", "most"),
    [("colibri.service", 2.0), ("colibri-collector.service", 1.3), ("colibri-reflector.service", 2.0)],
)
def test_little_is_exposed(unit: str, most: float) -> None:
    ran = analyze("security", "--offline=true", UNITS / unit)
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    assert score is not None, ran.stderr
    assert float(score[1]) <= most


@pytest.mark.parametrize("unit", ["colibri.service", "colibri-collector.service", "colibri-reflector.service"])
def test_systemd_has_nothing_to_say_against_it(unit: str, tmp_path: Path) -> None:
    # The command is not installed where this runs: another one stands for it.
    text = (UNITS / unit).read_text().replace("/usr/bin/colibri", "/bin/true")
    (tmp_path / unit).write_text(text)
    ran = analyze("verify", tmp_path / unit)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_verify_would_notice() -> None:
    """So that the test above can fail."""
    ran = analyze("verify", UNITS / "colibri.service")
    if not Path("/usr/bin/colibri").exists():
        assert "/usr/bin/colibri is not executable" in ran.stderr


def test_the_probe_has_the_one_capability_it_needs_and_the_collector_none() -> None:
    probe, collector = service("colibri.service"), service("colibri-collector.service")
    assert probe["CapabilityBoundingSet"] == probe["AmbientCapabilities"] == ["CAP_NET_RAW"]
    assert collector["CapabilityBoundingSet"] == [""]
    assert "AmbientCapabilities" not in collector
    assert "AF_PACKET" in probe["RestrictAddressFamilies"][0]
    assert "AF_NETLINK" in probe["RestrictAddressFamilies"][0]


def test_the_reflector_may_bind_and_listen_and_no_more() -> None:
    reflector = service("colibri-reflector.service")
    assert reflector["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE CAP_NET_RAW"]
    assert reflector["AmbientCapabilities"] == reflector["CapabilityBoundingSet"]
    assert reflector["RestartPreventExitStatus"] == ["2"]
    assert "MemoryMax" in reflector


def test_the_daemon_is_watched_reloaded_and_started_again() -> None:
    probe = service("colibri.service")
    assert probe["Type"] == ["notify"]
    assert probe["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert probe["Restart"] == ["on-failure"]
    assert probe["RestartPreventExitStatus"] == ["2"]
    # A third of it passes between two signs of life, and a part may show no progress for 30 s.
    assert int(probe["WatchdogSec"][0]) >= 60


def test_users_and_folders_are_those_of_the_units() -> None:
    users = {line.split()[1] for line in (UNITS / "colibri.sysusers").read_text().splitlines() if line[0] == "u"}
    for unit in ("colibri.service", "colibri-collector.service", "colibri-reflector.service"):
        assert service(unit)["User"][0] in users
        assert f"/var/lib/{service(unit)['StateDirectory'][0]}" in (UNITS / "colibri.sysusers").read_text()
