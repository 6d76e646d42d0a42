"""The unit files: systemd understands them, and they let the daemons do what they need and little else."""

from __future__ import annotations

import re
import shutil
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest

from probe.page.guard import at_home

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


# The daemon's limit is 2.0, that of all others 1.2. The reflector hears packets as they arrive, to tell what became of
# them, so it needs CAP_NET_RAW, packet sockets and the host's network, like the daemon: 1.6 is the least with those.
MOST = {"colibri.service": 2.0, "colibri-reflector.service": 1.6}
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))


@pytest.mark.parametrize("unit", SERVICES)
def test_little_is_exposed(unit: str) -> None:
    most = MOST.get(unit, 1.2)
    ran = analyze("security", "--offline=true", UNITS / unit)
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    assert score is not None, ran.stderr
    assert float(score[1]) <= most


@pytest.mark.parametrize("unit", [*SERVICES, "colibri-page.socket"])
def test_systemd_has_nothing_to_say_against_it(unit: str, tmp_path: Path) -> None:
    # The command is not installed where this runs: another one stands for it.
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        (tmp_path / path.name).write_text(path.read_text().replace("/usr/bin/colibri", "/bin/true"))
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
    assert probe["ExecReload"] == ["/bin/sh -c 'kill -HUP $MAINPID'"]
    assert probe["Restart"] == ["on-failure"]
    assert probe["RestartPreventExitStatus"] == ["2"]
    # A third of it passes between two signs of life, and a part may show no progress for 30 s.
    assert int(probe["WatchdogSec"][0]) >= 60


def test_users_and_folders_are_those_of_the_units() -> None:
    users = {line.split()[1] for line in (UNITS / "colibri.sysusers").read_text().splitlines() if line[0] == "u"}
    for unit in SERVICES:
        assert service(unit)["User"][0] in users
        for folder in service(unit).get("StateDirectory", []):
            assert f"/var/lib/{folder}" in (UNITS / "colibri.sysusers").read_text()


def test_the_page_reaches_nothing_but_the_daemon_s_socket_for_it() -> None:
    page = service("colibri-page.service")
    assert page["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert page["PrivateNetwork"] == ["yes"]
    assert page["CapabilityBoundingSet"] == [""]
    assert page["User"] == page["Group"] == ["colibri-page"]
    assert "SupplementaryGroups" not in page
    members = [line.split()[1:] for line in (UNITS / "colibri.sysusers").read_text().splitlines() if line[0] == "m"]
    assert members == [["colibri", "colibri-page"]]  # the page is in no group but its own
    # Its way leads through the daemon's folder, past the control socket, which is for the group colibri alone.
    assert service("colibri.service")["RuntimeDirectoryMode"] == ["0711"]
    assert {"chown", "fchownat"} <= set(" ".join(service("colibri.service")["SystemCallFilter"]).split())


def test_strangers_are_kept_out_before_the_page_starts() -> None:
    settings = dict(
        line.split("=", 1) for line in (UNITS / "colibri-page.socket").read_text().splitlines() if "=" in line[1:]
    )
    assert settings["IPAddressDeny"] == "any"
    allowed = settings["IPAddressAllow"].split()
    assert {"localhost", "link-local"} < set(allowed)
    for text in allowed[2:]:
        network = ip_network(text)
        assert network.is_private
        assert at_home(str(network.network_address + 1))


def test_tmpfiles_lets_nothing_go(tmp_path: Path) -> None:
    """An age there would let go of keys and findings."""
    lines = [line.split() for line in (UNITS / "colibri.tmpfiles").read_text().splitlines() if line[0] != "#"]
    assert [(line[0], line[-1]) for line in lines] == [("d", "-"), ("d", "-")]


def test_a_program_without_docstrings_is_for_those_who_compiled_it() -> None:
    assert "PYTHONOPTIMIZE=2" in (UNITS / "optimised.conf").read_text()
    assert [unit for unit in SERVICES if "PYTHONOPTIMIZE" in (UNITS / unit).read_text()] == []
