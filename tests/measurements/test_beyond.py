"""What surely is not in the home."""

from __future__ import annotations

import pytest

from probe.measurements._beyond import private, surely_beyond

HOME = {1: "0.0.0.1"}


@pytest.mark.parametrize(
    ("routers", "ttl", "beyond"),
    [
        (HOME, 1, False), (HOME, 2, False), (HOME, 3, True), (HOME | {2: "10.0.0.1"}, 2, False),
        (HOME | {2: "198.51.0.2"}, 2, True), (HOME | {2: "0.0.0.2"}, 2, False), (HOME | {2: "0.0.0.2"}, 3, False),
        (HOME | {2: "0.0.0.2"}, 4, True), ({}, 1, False), ({}, 2, False), ({}, 3, True),
        ({1: "::1", 2: "2001:db8::2"}, 2, True), ({1: "::1", 2: "fd00::2"}, 2, False),
    ],
)  # fmt: skip
def test_where_the_home_ends(routers: dict[int, str], ttl: int, beyond: bool) -> None:
    assert surely_beyond(ttl, routers) is beyond


@pytest.mark.parametrize(
    ("address", "own"),
    [("10.1.2.3", True), ("100.127.0.1", True), ("fd00::1", True), ("9.9.9.9", False), ("::1", False)],
)
def test_private_addresses(address: str, own: bool) -> None:
    assert private(address) is own
