"""docs/counters.md is what the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from probe.agent.options import options
from probe.collector.counters.numbers import parse
from probe.collector.counters.robots import AGENT
from probe.collector.counters.suspicion import EVEN, HALF_LIFE, LEAST
from probe.collector.counters.watch import checked
from probe.model.config import Config, CounterConfig
from probe.model.errors import MalformedRecord

PAGE = (Path(__file__).parents[3] / "docs/counters.md").read_text()
NUMBERS = PAGE.partition("## What counts as a number")[2].partition("\n## ")[0]


def test_every_option_stands_there() -> None:
    rows = [f"| `{name}` | `{default}` | {words} |" for name, _, default, words in options(CounterConfig)]
    assert [line for line in rows if line not in PAGE] == []


def test_the_example_can_be_read() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(checked(msgspec.convert(tomllib.loads(block), Config).collector.counter)) == 2


def test_the_numbers_are_read_and_refused_as_it_says() -> None:
    good, bad = NUMBERS.split("What can be read in two ways is refused")
    read = re.findall(r"`([^`]+)`", good)
    assert len(read) >= 12
    for text in read:
        assert parse(text).value > 0, text
    for text in re.findall(r"`([^`]+)`", bad.partition("Of `12.3k`")[0]):
        with pytest.raises(MalformedRecord):
            parse(text)
    assert parse("12.3k").step == 100


def test_the_figures_are_those_of_the_code() -> None:
    assert (LEAST, EVEN, HALF_LIFE) == (20, 24, 20 * 60_000)
    assert f"`{AGENT}`" in PAGE
