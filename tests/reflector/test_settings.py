"""A reflector that was told nothing offers nothing that it does not have."""

from __future__ import annotations

from probe.model.reflector import Hello
from probe.reflector.core import Reflector
from probe.reflector.settings import Settings


def test_the_least_settings_make_a_reflector() -> None:
    core = Reflector(Settings(secret=b"s" * 32), 0.0)
    grant = core.grant(b"home", 0.0)
    assert (grant.udp, grant.tcp, grant.silent, grant.peers, grant.zone, grant.raw) == ((), (), (), (), "", False)
    assert not core.zone.covers("example")
    assert core.request(Hello(), b"home", b"", 0.0) == grant
