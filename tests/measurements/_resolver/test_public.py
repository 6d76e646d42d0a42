"""Whose public resolver an address is."""

from __future__ import annotations

import pytest

from probe.measurements._resolver.public import provider


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("8.8.8.8", "Google"), ("1.1.1.3", "Cloudflare"), ("9.9.9.11", "Quad9"), ("208.67.222.123", "OpenDNS"),
        ("2606:4700:4700::1113", "Cloudflare"), ("2001:4860:4860::6464", "Google"), ("45.90.28.17", "NextDNS"),
        ("8.8.8.9", ""), ("203.0.113.53", ""), ("2001:db8::53", ""),
    ],
)  # fmt: skip
def test_whose_it_is(address: str, whose: str) -> None:
    assert provider(address) == whose
