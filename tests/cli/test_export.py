"""``colibri export``: JSON lines in, another format out; what is lost, and what is no finding, is said."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.cli.main import main
from tests.samples import SAMPLE

LINE = msgspec.json.encode(SAMPLE) + b"\n"
NO_DETAILS = msgspec.json.encode({**SAMPLE, "details": {}, "signature": None}) + b"\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "findings.jsonl"
    path.write_bytes(LINE + LINE)
    return path


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_ooni_one_measurement_a_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--to", "ooni", str(file)]) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["data_format_version"] for line in lines] == ["0.2.0"] * 2
    assert [line["test_keys"]["x_colibri"] for line in lines] == [SAMPLE] * 2
    lost = "verdict dns_injection of dns_injection: no OONI test judges it, in x_colibri only"
    assert err == f"not in ooni: 2 × {lost}\n"


def test_atlas_one_result_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hop = {"ttl": 1, "routers": {"198.51.100.1": 1}}
    path = tmp_path / "path.jsonl"
    path.write_bytes(msgspec.json.encode({**SAMPLE, "details": {"protocol": "icmp", "path": [hop]}}))
    assert main(["export", "--to", "atlas", str(path)]) == 0
    out, err = capsys.readouterr()
    (result,) = [json.loads(line) for line in out.splitlines()]
    assert (result["type"], result["proto"]) == ("traceroute", "ICMP")
    assert result["result"] == [{"hop": 1, "result": [{"from": "198.51.100.1"}]}]
    assert err == ""


def test_atlas_has_nothing_for_some(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--to", "atlas", str(file)]) == 0
    assert capsys.readouterr() == ("", "not in atlas: 2 × dns_injection: nothing that RIPE Atlas measures\n")


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_csv_with_one_header_for_all_files(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, NO_DETAILS)
    assert main(["export", "--to", "csv", str(file), "-"]) == 0
    out, err = capsys.readouterr()
    assert [row["id"] for row in rows(out)] == [SAMPLE["id"]] * 3
    assert err.splitlines() == [
        "not in csv: 2 × details: a table is flat", "not in csv: 2 × signature: it covers the JSON, not a row"
    ]  # fmt: skip


def test_without_files_standard_input_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, NO_DETAILS)
    assert main(["export", "--to", "csv"]) == 0
    out, err = capsys.readouterr()
    assert (len(rows(out)), err) == (1, "")
    stdin(monkeypatch, b"{}\n")
    assert main(["export", "--to", "ooni"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("colibri: standard input:1: not a finding: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("to", ["ooni", "atlas", "csv"])
def test_a_line_that_is_none_is_named_and_what_came_before_is_written(
    to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(NO_DETAILS * 2 + b'{"schema": "colibri.finding/2"}\n' + NO_DETAILS)
    assert main(["export", "--to", to, str(path)]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == {"ooni": 2, "atlas": 0, "csv": 3}[to]
    said = err.splitlines()[-1]
    assert said.startswith(f"colibri: {path}:3: not a finding: ")
    assert "schema" in said


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.jsonl"
    assert main(["export", "--to", "ooni", str(missing)]) == 1
    assert capsys.readouterr().err == f"colibri: {missing}: No such file or directory\n"


@pytest.mark.parametrize("words", [[], ["--to", "xml"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--to" in err
    assert err.count("\n") == 1
