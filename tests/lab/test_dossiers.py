"""The stories' dossiers, end to end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from probe.cli.main import main
from probe.collector.dossier.pack import unpack
from probe.lab import dossiers, week
from probe.lab.stories import STORIES
from probe.lab.week import record
from probe.model.errors import CannotMeasure
from tests.lab.recordings import clean, recordings, seldom


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `colibri collector check` says of a dossier that is whole."""
    capsys.readouterr()
    assert main(["collector", "check", str(path)]) == 0
    told = capsys.readouterr().out
    assert "everything is as it was signed" in told
    return told


@pytest.mark.parametrize("name", STORIES)
def test_a_dossier_in_each_language_and_the_study(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.collector.dossier.make.pdf", str.encode)
    story = seldom(STORIES[name])
    told = dossiers.write(story, tmp_path, print, recordings)
    assert [path.name for path in told.dossiers] == [f"dossier-{name}-{code}.zip" for code in ("fr", "ar", "en")]
    assert all(path.exists() for path in told.files)
    said = checked(told.dossiers[1], capsys)
    captures = sum(one.startswith("evidence/") for one in unpack(told.dossiers[1].read_bytes(), "x"))
    assert captures > 5
    assert f"{captures} of {captures} captures give the verdict" in said
    assert 'dir="rtl"' in (tmp_path / f"{name}-cover-ar.pdf").read_text()
    assert "AS6450" in (tmp_path / f"{name}-operators.csv").read_text()
    # Once more: nothing of the week before is left.
    assert dossiers.write(story, tmp_path, print, recordings).incidents == told.incidents


def test_a_week_without_interference_gives_none(tmp_path: Path) -> None:
    story = seldom(STORIES["algeria"])

    def quiet(*_: object) -> dict[week.Key, week.Recording]:
        found = recordings(story, print)
        return {key: clean(story.tasks[key.task]) for key in found}

    with pytest.raises(CannotMeasure, match="the week of algeria gave no incident"):
        dossiers.write(story, tmp_path, print, quiet)


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.parametrize("name", STORIES)
def test_from_real_packets_to_a_dossier_that_gives_every_verdict_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = dossiers.write(STORIES[name], tmp_path, print, record)
    for path, words in zip(told.dossiers, ("Ce qui a été exclu", "", "What was excluded"), strict=True):
        files = unpack(path.read_bytes(), path.name)
        captures = sum(one.startswith("evidence/") for one in files)
        assert f"{captures} of {captures} captures give the verdict" in checked(path, capsys)
        (cover,) = (one for one in files if one.startswith("cover-"))
        (tmp_path / "x.pdf").write_bytes(files[cover])
        text = subprocess.run(["pdftotext", tmp_path / "x.pdf", "-"], capture_output=True, check=True).stdout.decode()
        assert words in text
