"""What a transparent proxy makes of a request."""

from __future__ import annotations

from typing import Any

import pytest

from probe.lab.kinds import HttpProxy
from probe.lab.servers.proxy import changed

HEAD = b"GET / HTTP/1.1\r\nhOsT: press.example\r\nX-oDd:  1\r\nConnection: keep-alive\r\n\r\n"


@pytest.mark.parametrize(
    ("how", "lines"),
    [
        ({}, [b"Host: press.example", b"X-Odd: 1", b"Via: 1.1 cache", b"X-Forwarded-For: 198.18.10.100"]),
        ({"normalise": False, "via": "", "forwarded": False}, [b"hOsT: press.example", b"X-oDd: 1"]),
    ],
)
def test_it_says_so_or_not(how: Any, lines: list[bytes]) -> None:
    found = changed(HEAD, HttpProxy(at="x", **how), "198.18.10.100")
    assert found == b"\r\n".join([b"GET / HTTP/1.1", *lines, b"Connection: close"]) + b"\r\n\r\n"
