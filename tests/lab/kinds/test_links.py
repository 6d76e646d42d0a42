"""Links as a scenario's file names them."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from probe.lab.kinds import Box, Impair


def test_a_file_names_it_by_its_kind() -> None:
    given = tomli.loads('kind = "impair"\nat = "x"\nloss = 0.1')
    found = msgspec.convert(given, Box)
    assert isinstance(found, Impair)
    assert found.at == "x"


def test_nonsense_is_refused() -> None:
    given = tomli.loads('kind = "impair"\nat = "x"\nloss = 0.1')
    with pytest.raises(msgspec.ValidationError, match="burst"):
        msgspec.convert({**given, "burst": -1}, Box)
