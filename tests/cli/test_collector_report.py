"""``colibri collector report``."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.cli.main import main
from tests.collector.conftest import Desk
from tests.collector.study.conftest import fill


@pytest.fixture
def config(tmp_path: Path) -> Path:
    desk = Desk(tmp_path / "findings.sqlite3")
    fill(desk)
    desk.close()
    path = tmp_path / "colibri.toml"
    path.write_text(f'[collector]\ndatabase = "{desk.path}"\n')
    return path


def test_a_folder_for_each_country(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("probe.collector.dossier.pdf.pdf", str.encode)
    words = ["collector", "report", "--month", "2026-02", "--config", str(config), "--output", str(tmp_path / "out")]
    assert main([*words, "--lang", "ar"]) == 0
    assert "report-MA-2026-02: 2 operators, 1 incidents" in capsys.readouterr().out
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")) == [
        f"report-{country}-2026-02/{name}" for country in ("FR", "MA")
        for name in ("incidents.csv", "operators.csv", "report-ar.html", "report-ar.pdf", "techniques.csv", "trend.csv")
    ]  # fmt: skip
    assert main([*words, "--country", "MA"]) == 0
    assert (tmp_path / "out/report-MA-2026-02/report-en.html").exists()
    assert not (tmp_path / "out/report-FR-2026-02/report-en.html").exists()


def test_without_weasyprint_there_is_html_and_a_line(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from probe.collector.dossier.pdf import NoPdf

    def none(page: str) -> bytes:
        raise NoPdf("no PDF is made")

    monkeypatch.setattr("probe.collector.dossier.pdf.pdf", none)
    monkeypatch.chdir(tmp_path)
    assert main(["collector", "report", "--month", "2026-02", "--country", "MA", "--config", str(config)]) == 0
    assert capsys.readouterr().err == "the study is HTML alone: no PDF is made\n"
    assert {path.suffix for path in (tmp_path / "report-MA-2026-02").iterdir()} == {".html", ".csv"}


@pytest.mark.parametrize(("words", "said"), [
    (["--month", "2026-13"], "is no month"), (["--month", "2026-02", "--country", "DZ"], "nothing was measured in DZ"),
    (["--month", "2012-02"], "nothing was measured in 2012-02"), ([], "--month"),
    (["--month", "2026-02", "--country", "../x"], "nothing was measured in ../x"),
])  # fmt: skip
def test_what_is_wrong_is_one_line_and_status_2(
    config: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collector", "report", "--config", str(config), *words]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err
