"""Filters as a scenario's file names them."""

from __future__ import annotations

import msgspec
import pytest
import tomli

from probe.lab.kinds import Box, Recognise


def test_a_file_names_it_by_its_kind() -> None:
    given = tomli.loads('kind = "udp_filter"\nat = "x"\nmatch = ["stun"]')
    found = msgspec.convert(given, Box)
    assert isinstance(found, Recognise)
    assert found.at == "x"


def test_nonsense_is_refused() -> None:
    given = tomli.loads('kind = "udp_filter"\nat = "x"\nmatch = ["stun"]')
    with pytest.raises(msgspec.ValidationError, match="telepathy"):
        msgspec.convert({**given, "match": ("telepathy",)}, Box)
