"""docs/adding-a-measurement.md: its example is a measurement, and its test a test that passes."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from probe import measurements
from probe.cli.measure import kind_parser

PAGE = (Path(__file__).parents[2] / "docs/adding-a-measurement.md").read_text()
MEASUREMENT, TEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def module(name: str, source: str) -> ModuleType:
    """A module made from source."""
    made = ModuleType(name)
    sys.modules[name] = made  # types look their own module up
    exec(compile(source, f"<{name}>", "exec"), made.__dict__)  # noqa: S102 - it is our own page
    return made


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example in its place, as if the file were there."""
    name = "probe.measurements.echo"
    known = measurements.names()
    monkeypatch.setattr(measurements, "names", lambda: sorted([*known, "echo"]))
    yield module(name, MEASUREMENT)
    del sys.modules[name]


def test_the_example_is_short() -> None:
    assert len(MEASUREMENT.splitlines()) <= 55
    statements = [node for node in ast.walk(ast.parse(MEASUREMENT)) if isinstance(node, ast.stmt)]
    assert len(statements) <= 40


def test_the_example_is_found_and_has_its_options(example: ModuleType) -> None:
    loaded = measurements.load("echo")
    assert loaded.measure is example.measure
    assert loaded.summary == "Whether an address answers pings, while another one does."
    given = kind_parser("echo").parse_args(["203.0.113.10", "--control-address", "203.0.113.180"])
    assert given.control_address == "203.0.113.180"


def test_the_pages_own_test_passes(example: ModuleType) -> None:
    test = module("page_test", TEST)
    try:
        (mark,) = test.test_whom_it_believes.pytestmark
        _, cases = mark.args
        assert len(cases) == 3
        for network, rule in cases:
            test.test_whom_it_believes(network, rule)
    finally:
        del sys.modules["page_test"]


def test_the_example_says_what_it_saw(example: ModuleType) -> None:
    test = module("page_test", TEST)
    try:
        network = test.test_whom_it_believes.pytestmark[0].args[1][0][0]
        judgement = test.measure("echo", network, 1, target=test.TARGET, control_address=test.CONTROL)
    finally:
        del sys.modules["page_test"]
    assert (judgement.verdict, judgement.trials.agreed, judgement.controls.agreed) == ("clean", 3, 6)
    assert judgement.reasons == ["203.0.113.10 answered 3 of 3 pings."]
    assert inspect.isgeneratorfunction(example.measure)
