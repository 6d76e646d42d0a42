"""The verbs that the image's services call."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.appliance import __main__ as appliance
from probe.appliance.places import Places
from probe.appliance.report import SIZE


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    for name in ("card", "etc/colibri", "release", "marks", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "card/slot.txt").write_text("os_prefix=A/\n")
    (tmp_path / "card/trial").write_text("-\n")
    (tmp_path / "release/version").write_text("0.1.7\n")
    monkeypatch.setattr(appliance, "command_line", lambda: "rauc.slot=A")
    monkeypatch.setattr(appliance, "SOCKET", str(tmp_path / "no-socket"))
    names = ("card", "etc", "release", "marks", "data", "run")
    return Places(**{name: tmp_path / name for name in names})


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["slots"], ["slots", "set-primary"]])
def test_wrong_usage(arguments: list[str], places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.main(arguments, places) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_rauc_s_questions(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(*words: str) -> str:
        assert appliance.main(["slots", *words], places) == 0
        return capsys.readouterr().out.strip()

    assert (ask("get-primary"), ask("get-current"), ask("get-state", "B")) == ("A", "A", "good")
    ask("set-state", "B", "bad")
    ask("set-primary", "B")
    assert (ask("get-primary"), (places.card / "trial").read_text()) == ("B", "B\n")
    (places.card / "trial").write_text("b\n")
    assert ask("get-state", "B") == "bad"
    ask("set-state", "A", "good")
    assert (ask("get-primary"), (places.card / "trial").read_text()) == ("A", "-\n")


def test_a_slot_that_there_is_not(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.main(["slots", "set-primary", "C"], places) != 0
    assert "there are A and B" in capsys.readouterr().err


def test_without_an_address_there_are_no_updates(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.main(["update"], places) == 0
    assert "no updates" in capsys.readouterr().out


def test_a_system_on_trial_takes_none(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    (places.etc / "colibri/update-url").write_text("http://192.0.2.1/\n")
    (places.marks / "trial").touch()
    assert appliance.main(["update"], places) == 0
    assert "on trial itself" in capsys.readouterr().out


def test_a_system_that_does_not_answer_is_not_good(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appliance, "command_line", lambda: "rauc.slot=A colibri.trial=0")
    (places.marks / "trial").touch()
    assert appliance.main(["good"], places) == 1
    assert (places.marks / "trial").exists()


def test_the_login_s_message_needs_no_daemon(places: Places, capsys: pytest.CaptureFixture[str],
                                             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("probe.appliance.motd.latest_findings", list)
    assert appliance.main(["motd"], places) == 0
    assert "Colibri 0.1.7" in capsys.readouterr().out


def test_the_file_of_a_new_card(places: Places, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert appliance.main(["blank-status"], places) == 0
    assert len(capfdbinary.readouterr().out) == SIZE
