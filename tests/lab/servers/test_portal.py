"""A captive portal, and what a home gets to see of the net behind it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab.kinds import Portal
from probe.wire import dns, http

pytestmark = pytest.mark.lab


def test_every_way_leads_to_the_login(internet: Callable[..., Any]) -> None:
    lab = internet(Portal(at="atlas.router"))
    with lab.enter("atlas"):
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asker:
        asker.settimeout(2)
        asker.sendto(dns.query("press.example", 5), ("203.0.113.153", 53))
        assert dns.decode(asker.recv(4096)).answers[0].text == "198.18.10.100"
    with lab.enter("atlas"), socket.create_connection(("203.0.113.10", 80), timeout=2) as connection:
        connection.sendall(http.request("press.example"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 302 Found\r\nLocation: http://login.portal.example/")
    with lab.enter("atlas"), pytest.raises(OSError, match=r"refused|unreachable|route|prohibited"):
        socket.create_connection(("203.0.113.10", 443), timeout=2)
