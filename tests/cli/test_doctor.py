"""``colibri doctor``: its lines and its exit status."""

from __future__ import annotations

import json

import pytest

from probe.agent import doctor
from probe.agent.doctor import Check
from probe.cli import main as cli

WELL = Check("clock", True, "synchronised")
ILL = Check("route", False, "no default route", "plug in the cable")


def looks(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    async def examine(_path: object) -> list[Check]:
        return list(checks)

    monkeypatch.setattr(doctor, "examine", examine)


def test_all_well_is_status_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    looks(monkeypatch, WELL)
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out == "ok       clock          synchronised\n"


def test_a_problem_is_said_with_its_cure_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks(monkeypatch, WELL, ILL)
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "PROBLEM  route          no default route",
        "                        → plug in the cable",
    ]


def test_json_is_a_check_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    looks(monkeypatch, WELL, ILL)
    assert cli.main(["doctor", "--json"]) == 1
    well, ill = map(json.loads, capsys.readouterr().out.splitlines())
    assert well == {"name": "clock", "ok": True, "said": "synchronised", "mend": ""}
    assert (ill["name"], ill["ok"], ill["mend"]) == ("route", False, "plug in the cable")
