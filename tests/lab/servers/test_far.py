"""The real reflector in the lab."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab.kinds import Installed
from probe.lab.namespaces import Namespace
from probe.lab.servers.far import FarEnd
from probe.model.errors import CannotMeasure
from probe.model.reflector import PORT, Grant, Hello
from probe.wire import dns, reflector

pytestmark = pytest.mark.lab


def greet(lab: Any, address: str) -> Grant:
    with lab.enter("atlas"):
        asker = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with asker:
        asker.settimeout(2)
        asker.sendto(reflector.hello(bytes(range(12)), Hello()), (address, PORT))
        answer = reflector.answered(asker.recv(4096))
    assert isinstance(answer, Grant)
    return answer


def whoami(lab: Any, operator: str, resolver: str, token: str) -> list[str]:
    with lab.enter(operator):
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asker:
        asker.settimeout(2)
        asker.sendto(dns.query(f"{token}.whoami.r.example", 5, dns.TXT), (resolver, 53))
        return [record.text for record in dns.decode(asker.recv(4096)).answers]


def test_it_serves_both_families_and_tells_who_resolves(internet: Callable[..., Any]) -> None:
    lab = internet(Installed(at="octenium"))
    for address in ("203.0.113.190", "2001:db8:c0::90"):
        grant = greet(lab, address)
        assert (grant.name, grant.zone, grant.raw) == ("reflector.example", "r.example", True)
        assert grant.peers == ("octenium",)
        assert "203.0.113.191" in grant.silent
    hosted = greet(lab, "198.51.100.10")
    assert (hosted.name, hosted.raw, 80 in hosted.tcp, 5060 in hosted.tcp) == ("octenium", True, False, True)
    token = greet(lab, "203.0.113.190").token
    asked = (("atlas", "203.0.113.153", "203.0.113.0/24"), ("sale", "198.18.30.53", "198.18.30.0/24"))
    for operator, resolver, net in asked:
        (text,) = whoami(lab, operator, resolver, token)
        assert reflector.read_whoami(text).network == net


def test_one_that_can_not_start_says_why() -> None:
    namespace = Namespace.create("x")
    far = FarEnd(namespace, ["nowhere"], name="far", zone="", secret="0" * 32)
    far.start()
    with pytest.raises(CannotMeasure, match="does not start"):
        far.await_ready()
    far.close()
    namespace.close()
