"""Throttles as a scenario's file names them."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from probe.lab.kinds import Box, Throttle


def test_a_file_names_it_by_its_kind() -> None:
    given = tomli.loads('kind = "throttle"\nat = "x"\nwords = ["x"]\nrate = 300')
    found = msgspec.convert(given, Box)
    assert isinstance(found, Throttle)
    assert found.at == "x"


def test_nonsense_is_refused() -> None:
    given = tomli.loads('kind = "throttle"\nat = "x"\nwords = ["x"]\nrate = 300')
    with pytest.raises(msgspec.ValidationError, match="rate"):
        msgspec.convert({**given, "rate": 0}, Box)
