"""Rewriters as a scenario's file names them."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from probe.lab.kinds import Box, Rewrite


def test_a_file_names_it_by_its_kind() -> None:
    given = tomli.loads('kind = "rewrite"\nat = "x"\ndscp = 0')
    found = msgspec.convert(given, Box)
    assert isinstance(found, Rewrite)
    assert found.at == "x"


def test_nonsense_is_refused() -> None:
    given = tomli.loads('kind = "rewrite"\nat = "x"\ndscp = 0')
    with pytest.raises(msgspec.ValidationError, match="ttl"):
        msgspec.convert({**given, "ttl": 0}, Box)
