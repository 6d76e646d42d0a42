"""Finding measurements by name, and their options from loosely typed values."""

from __future__ import annotations

import subprocess
import sys

import pytest

from probe.measurements import load, names, parse_options
from probe.model.errors import UsageError


def test_every_file_without_an_underscore_is_a_measurement() -> None:
    assert names() == sorted(names())
    assert {"dns_injection", "dns_resolver", "tcp_reset", "ttl_path"} <= set(names())
    assert not any(name.startswith("_") for name in names())
    for name in names():
        measurement = load(name.replace("_", "-"))
        assert measurement.name == name
        assert measurement.version
        assert measurement.summary.endswith(".")


@pytest.mark.parametrize("name", ["nothing", "_dns", "__init__", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no measurement is called"):
        load(name)


def test_texts_become_values_and_defaults_fill_in() -> None:
    dns = load("dns_injection")
    options = parse_options(
        dns,
        {"target": "a.example", "trials": "5", "locate": "true"},
        {"resolver": "192.0.2.1", "silent": "", "reflector": "x"},
    )
    assert (options.trials, options.locate, options.resolver, options.silent) == (5, True, "192.0.2.1", "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"target": "a", "typo": "1"}, "no option is called 'typo'"),
        ({"target": "a", "trials": "2"}, "trials"),
        ({"target": "a", "port": "x"}, "port"),
        ({"target": "a", "resolver": "nonsense"}, "resolver: 'nonsense' is not an IP address"),
        ({"target": "a", "silent": "203.0.113"}, "silent"),
        ({}, "target"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_options(load("dns_injection"), given)


def test_lists_come_as_texts_or_as_lists() -> None:
    hole = load("blackhole")
    for ports, siblings in (("80, 443", "192.0.2.1,192.0.2.2"), ([80, 443], ["192.0.2.1", "192.0.2.2"])):
        options = parse_options(hole, {"target": "192.0.2.9", "ports": ports, "siblings": siblings})
        assert (options.ports, options.siblings) == ([80, 443], ["192.0.2.1", "192.0.2.2"])
    with pytest.raises(UsageError, match="siblings: 'x'"):
        parse_options(hole, {"target": "192.0.2.9", "siblings": "192.0.2.1,x"})
    with pytest.raises(UsageError, match="ports"):
        parse_options(hole, {"target": "192.0.2.9", "ports": "80,http"})


def test_without_docstrings_it_still_says_what_it_measures() -> None:
    """The image runs ``python -OO``, to save a sixth of the memory."""
    told = "from probe.measurements import load, names; print(*(load(name).summary for name in names()), sep='\\n')"
    runs = [
        subprocess.run([sys.executable, *how, "-c", told], capture_output=True, text=True, check=True).stdout
        for how in ([], ["-OO"])
    ]
    assert runs[0] == runs[1] != ""
