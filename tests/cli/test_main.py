from __future__ import annotations

import atexit
import gc
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from probe import __version__
from probe.cli import main as cli
from probe.model.errors import CannotMeasure, ConfigError, UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A verb of one option whose ``run`` a test sets."""
    module = SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("--count", type=int, required=True),
        run=lambda args: int(args.count),
    )
    monkeypatch.setattr(cli, "load", lambda _: module)
    monkeypatch.setitem(cli.VERBS, "stub", "a stub")
    return module


def colibri(*arguments: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "probe", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, **kwargs)  # type: ignore[call-overload,no-any-return]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr() == (f"colibri {__version__}\n", "")


def test_help_lists_what_is_offered_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("  ")}
    assert listed == set(cli.offered())
    assert "schema" in listed


def test_no_verb_is_wrong_usage_and_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "schema" in err


def test_a_verb_whose_module_is_missing_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.VERBS, "nothing_here", "no module")
    assert "nothing_here" not in cli.offered()
    with pytest.raises(UsageError, match="no verb 'nothing_here'"):
        cli.load("nothing_here")


@pytest.mark.parametrize(
    ("own", "given", "rests"),
    [(["probe", "nonsense"], None, True), (["schema", "nonsense"], None, False), ([], None, False),
     (["pytest"], ["probe", "nonsense"], False)],
)  # fmt: skip
def test_a_brief_command_of_this_process_collects_no_garbage(
    monkeypatch: pytest.MonkeyPatch, own: list[str], given: list[str] | None, rests: bool
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(gc, "disable", lambda: calls.append("disabled"))
    monkeypatch.setattr(atexit, "register", calls.append)
    monkeypatch.setattr(sys, "argv", ["colibri", *own])
    assert cli.main(given) == 2
    assert calls == (["disabled", gc.freeze] if rests else [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shema"], "there is no verb 'shema'; did you mean 'schema'?"),
        (["../main"], "there is no verb '../main'; try: colibri --help"),
        (["--json", "schema"], "there is no option '--json' before the verb; try: colibri --help"),
    ],
)
def test_a_wrong_word_is_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr() == ("", f"colibri: {said}\n")


def test_wrong_arguments_of_a_verb_are_one_line_and_status_2(
    verb: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["stub", "--count", "many"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "colibri stub: argument --count: invalid int value: 'many' (try: colibri stub --help)\n"


def test_the_status_of_a_verb_is_passed_on(verb: SimpleNamespace) -> None:
    assert cli.main(["stub", "--count", "10"]) == 10


def test_help_of_a_verb_is_status_0(verb: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stub", "--help"]) == 0
    assert "usage: colibri stub" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CannotMeasure("no packet socket", "run it as root"), 1, "no packet socket (run it as root)"),
        (ConfigError("colibri.toml: mqtt.prot", "unknown key"), 2, "colibri.toml: mqtt.prot: unknown key"),
        (UsageError("two\nlines"), 2, "two lines"),
        (FileNotFoundError(2, "No such file or directory", "x.pcap"), 1, "x.pcap: No such file or directory"),
    ],
)
def test_errors_are_one_line_and_their_status(
    verb: SimpleNamespace, capsys: pytest.CaptureFixture[str], error: Exception, status: int, said: str
) -> None:
    def fail(_: object) -> int:
        raise error

    verb.run = fail
    assert cli.main(["stub", "--count", "1"]) == status
    assert capsys.readouterr() == ("", f"colibri: {said}\n")


@pytest.mark.parametrize("fault", [ValueError("a fault of ours"), OSError(9, "Bad file descriptor")])
def test_a_fault_of_ours_keeps_its_traceback(verb: SimpleNamespace, fault: Exception) -> None:
    def fail(_: object) -> int:
        raise fault

    verb.run = fail
    with pytest.raises(type(fault)):
        cli.main(["stub", "--count", "1"])


def test_ctrl_c_is_quiet(verb: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    verb.run = interrupted
    assert cli.main(["stub", "--count", "1"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "probe", "schema", "finding"],
            cwd=ROOT, stdout=write, stderr=subprocess.PIPE, timeout=30, check=False,
        )  # fmt: skip
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_as_a_module_and_with_closed_stdin() -> None:
    done = colibri("--version", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"colibri {__version__}\n", "")
