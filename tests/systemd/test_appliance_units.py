"""The image's own units: settings, health and update are closed in; all of them are understood."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd/appliance"
CLOSED_IN = ("colibri-firstboot.service", "colibri-good.service", "colibri-update.service")
"""The others start one program of the system's own with one fixed argument."""
WIFI = 2.4
"""wpa_supplicant has to be root with CAP_NET_ADMIN in the host's network, with a device of its own (/dev/rfkill)."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's package systemd")


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("unit", "most"), [*((unit, 1.2) for unit in CLOSED_IN), ("colibri-wifi.service", WIFI)])
def test_little_is_exposed(unit: str, most: float) -> None:
    ran = analyze("security", "--offline=true", UNITS / unit)
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    assert score is not None, ran.stderr
    assert float(score[1]) <= most


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.iterdir()))
def test_systemd_understands_it(unit: str, tmp_path: Path) -> None:
    for path in (*UNITS.iterdir(), *UNITS.parent.glob("*.service")):
        # The programs are the image's: another one stands for them.
        text = re.sub(r"(?m)^(Exec\w+=[-+]?)/usr/(?:s?bin|lib/colibri)/\S+", r"\1/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text)
    ran = analyze("verify", tmp_path / unit)
    said = [line for line in ran.stderr.splitlines() if unit in line]
    assert said == []
