"""What the fields of boxes accept."""

from __future__ import annotations

import msgspec
import pytest

from probe.lab.kinds.base import Ports


@pytest.mark.parametrize(("given", "good"), [((80, "10-20"), True), ((0,), False), (("80",), False), ((70000,), False)])
def test_ports(given: tuple[object, ...], good: bool) -> None:
    if good:
        assert msgspec.convert(given, Ports) == given
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(given, Ports)
