"""The program that looks for a pattern."""

from __future__ import annotations

import io
import json

import pytest

from probe.collector.counters import match


def test_the_different_texts_of_the_group_with_entities_resolved() -> None:
    page = "<b>12&nbsp;345</b> fans <i>12&nbsp;345</i> fans\n<b>7</b> fans"
    assert match.matches(r">([^<]*)</[bi]> fans", page) == ["12\u00a0345", "7"]
    assert match.matches(r"^(\d+)$", "a\n5\nb") == ["5"]
    assert match.matches(r"(\d+)", "none") == []
    assert match.matches(r"a(\d+)?", "a") == [""]


def test_as_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"pattern": r"(\d+) fans", "text": "5 fans"})))
    match.main()
    assert json.loads(capsys.readouterr().out) == ["5"]
