"""Injectors as a scenario's file names them."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from probe.lab.kinds import Box, DnsInjector


def test_a_file_names_it_by_its_kind() -> None:
    given = tomli.loads('kind = "dns_injector"\nat = "x"\nnames = ["x.example"]')
    found = msgspec.convert(given, Box)
    assert isinstance(found, DnsInjector)
    assert found.at == "x"


def test_nonsense_is_refused() -> None:
    given = tomli.loads('kind = "dns_injector"\nat = "x"\nnames = ["x.example"]')
    with pytest.raises(msgspec.ValidationError, match="copies"):
        msgspec.convert({**given, "copies": 21}, Box)
