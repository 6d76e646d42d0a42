"""``colibri reflector``: wrong usage is one line, and what is said arrives at the service."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.cli import main as cli
from probe.cli import reflector
from probe.model.errors import UsageError
from probe.reflector import service
from probe.reflector.plan import Plan


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="colibri reflector")
    reflector.add_arguments(parser)
    return parser.parse_args(words)


def test_an_action_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse()
    assert ended.value.code == 2
    assert "ACTION" in capsys.readouterr().err


def test_wrong_words_end_with_two(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["--listen", "nowhere"], ["--ports", "x"], ["--certificate", "a.pem"], ["--peer", "203.0.113.1"]):
        assert cli.main(["reflector", "run", "--state", str(tmp_path), "--listen", "127.0.0.1", *words]) == 2
        assert capsys.readouterr().err.startswith("colibri: ")


def test_certificate_and_key_go_together() -> None:
    with pytest.raises(UsageError, match="go together"):
        reflector.run(parse("run", "--key", "key.pem"))


def test_what_is_said_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Plan] = []

    def run(plan: Plan, ready: Callable[[str], None]) -> int:
        made.append(plan)
        ready("served")
        return 0

    monkeypatch.setattr(service, "run", run)
    words = ["--listen", "203.0.113.190,203.0.113.191", "--silent", "203.0.113.191", "--name", "reflector.example",
             "--zone", "r.example", "--ports", "53,443", "--random-ports", "2", "--state", str(tmp_path),
             "--public", "192.0.2.9"]  # fmt: skip
    assert reflector.run(parse("run", *words)) == 0
    (plan,) = made
    assert (plan.listen, plan.silent, plan.public) == (("203.0.113.190",), ("203.0.113.191",), ("192.0.2.9",))
    assert (plan.name, plan.zone, plan.ports, len(plan.random)) == ("reflector.example", "r.example", (53, 443), 2)
