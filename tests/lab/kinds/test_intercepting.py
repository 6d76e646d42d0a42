"""Interceptors as a scenario's file names them."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from probe.lab.kinds import Box, Nat


def test_a_file_names_it_by_its_kind() -> None:
    given = tomli.loads('kind = "nat"\nat = "x"\nports = 8')
    found = msgspec.convert(given, Box)
    assert isinstance(found, Nat)
    assert found.at == "x"


def test_nonsense_is_refused() -> None:
    given = tomli.loads('kind = "nat"\nat = "x"\nports = 8')
    with pytest.raises(msgspec.ValidationError, match="ports"):
        msgspec.convert({**given, "ports": -1}, Box)
