from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from probe.cli.parser import USAGE, Parser


def test_an_error_is_one_line_with_the_way_to_help(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="colibri measure")
    parser.add_argument("target")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([])
    assert ended.value.code == USAGE
    said = "colibri measure: the following arguments are required: target (try: colibri measure --help)\n"
    assert capsys.readouterr() == ("", said)


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="colibri x")
    parser.add_argument("--resolver")
    assert parser.parse_args(["--resolver", "a"]).resolver == "a"
    with pytest.raises(SystemExit):
        parser.parse_args(["--resol", "a"])
    assert "unrecognized arguments: --resol" in capsys.readouterr().err


def test_nested_parsers_behave_alike(capsys: pytest.CaptureFixture[str]) -> None:
    nested = Parser(prog="colibri config").add_subparsers().add_parser("check")
    assert isinstance(nested, Parser)
    with pytest.raises(SystemExit):
        nested.parse_args(["--wrong"])
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("columns", ["44", "80", "120"])
def test_help_is_as_wide_as_argparse_makes_it(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ours, theirs = Parser(prog="colibri x"), argparse.ArgumentParser(prog="colibri x")
    for parser in (ours, theirs):
        parser.add_argument("--resolver", help="Address of a resolver that is asked for it, " * 4)
    assert ours.format_help() == theirs.format_help()


def test_declaring_options_loads_nothing_that_packs_files() -> None:
    script = "import sys\nfrom probe.cli.parser import Parser\nParser(prog='x').add_argument('--y')\n"
    script += "print(sorted({'shutil', 'bz2', 'lzma'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
