"""docs/command-line.md says every verb and every option of the parsers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from probe import measurements
from probe.cli import main as cli
from probe.cli.parser import Parser

PAGE = (Path(__file__).parents[2] / "docs/command-line.md").read_text()


def section(verb: str) -> str:
    """The part of the page under the verb's heading; empty if it has none."""
    found = re.search(rf"^## colibri {re.escape(verb)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def words(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option (its long name) and nested command that the parser knows, at any depth."""
    for action in parser._actions:  # the only way to ask
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices
            for nested in action.choices.values():
                yield from words(nested)
        elif action.option_strings and action.dest != "help" and action.help != argparse.SUPPRESS:
            yield action.option_strings[-1]


def said(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def test_the_page_has_a_section_for_each_verb_and_no_other() -> None:
    headings = re.findall(r"^## colibri (\S+)$", PAGE, re.MULTILINE)
    assert headings == list(cli.VERBS)


@pytest.mark.parametrize("verb", cli.offered())
def test_every_option_is_on_the_page(verb: str) -> None:
    parser = Parser(prog=f"colibri {verb}")
    cli.load(verb).add_arguments(parser)
    missing = [word for word in words(parser) if not said(word, section(verb))]
    assert not missing, f"docs/command-line.md, colibri {verb}, lacks {missing}"


@pytest.mark.parametrize("kind", measurements.names())
def test_every_option_of_a_measurement_is_on_the_page(kind: str) -> None:
    fields = msgspec.structs.fields(measurements.load(kind).options)
    options = [kind.replace("_", "-"), *(f"--{field.name.replace('_', '-')}" for field in fields[1:])]
    missing = [option for option in options if not said(option, section("measure"))]
    assert not missing, f"docs/command-line.md, colibri measure {kind}, lacks {missing}"


def test_the_walk_finds_nested_options() -> None:
    parser = Parser()
    parser.add_argument("-j", "--json")
    parser.add_subparsers().add_parser("check").add_argument("--deep")
    assert set(words(parser)) == {"--json", "check", "--deep"}
    assert said("--json", "with `--json`")
    assert not said("--json", "with `--json-lines`")
