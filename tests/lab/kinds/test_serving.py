"""Servers as a scenario's file names them."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from probe.lab.kinds import Box, Web


def test_a_file_names_it_by_its_kind() -> None:
    given = tomli.loads('kind = "web"\nat = "x"\nports = [80]')
    found = msgspec.convert(given, Box)
    assert isinstance(found, Web)
    assert found.at == "x"


def test_nonsense_is_refused() -> None:
    given = tomli.loads('kind = "web"\nat = "x"\nports = [80]')
    with pytest.raises(msgspec.ValidationError, match="shout"):
        msgspec.convert({**given, "unknown_sni": "shout"}, Box)
