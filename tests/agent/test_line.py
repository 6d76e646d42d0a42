"""The line's identity, and link changes as the kernel tells them, in a namespace of the test's own."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from probe.agent.line import Link, identity
from probe.model.config import LineConfig
from probe.model.finding import Line

SCRIPT = """
import asyncio, subprocess, sys
import msgspec
from probe.agent.line import detect, watch

STEPS = [
    "ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up",
    "ip addr add 10.9.0.2/24 dev v0; ip route add default via 10.9.0.1",
    "ip link add v2 type veth peer name v3; ip link set v2 up",  # nothing of the line changes
    "ip addr add 10.9.0.3/24 dev v0",
    "ip route add default via 10.9.0.7 metric 5",  # a worse route
    "ip link set v0 down",
    "ip -6 addr add 2001:db8::2/64 dev v0 nodad; ip link set v0 up; ip -6 route add default via 2001:db8::1",
]
SILENT = STEPS[0:5:2]  # not a line, or nothing of it changes

async def main():
    seen = asyncio.Queue()
    watcher = asyncio.create_task(watch(seen.put_nowait, settle=0.05))
    for step in ["true", *STEPS]:
        subprocess.run(step, shell=True, check=True)
        found = None
        patience = 0.7 if step in SILENT else 15  # on a busy machine the word comes late
        while True:
            try:
                found = await asyncio.wait_for(seen.get(), patience)
                patience = 0.7  # a step of several commands may be told in two words
            except TimeoutError:
                break
        print(msgspec.json.encode(found).decode(), flush=True)
    assert detect() == found
    watcher.cancel()
    await asyncio.wait([watcher])

asyncio.run(main())
"""


@pytest.mark.lab
def test_changes_of_the_line_are_told_and_others_are_not() -> None:
    command = ["unshare", "-Urn", sys.executable, "-W", "error", "-c", SCRIPT]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    told = [msgspec.json.decode(line, type=Link | None) for line in ran.stdout.splitlines()]
    v0 = Link("v0", "10.9.0.1", ("10.9.0.2",))
    both = Link("v0", "10.9.0.1", ("10.9.0.2", "10.9.0.3"))
    assert told[:-1] == [Link(), None, v0, None, both, None, Link()]
    last = told[-1]
    assert last is not None
    assert (last.interface, last.gateway) == ("v0", "2001:db8::1")
    assert "2001:db8::2" in last.addresses


def test_a_link_is_up_with_a_route_and_an_address() -> None:
    assert Link("eth0", "192.0.2.1", ("192.0.2.2",)).up
    assert not Link("eth0", "192.0.2.1").up
    assert not Link().up


def test_the_volunteers_word_is_told_and_nothing_of_the_home() -> None:
    config = LineConfig(operator="A", asn=64500, country="DZ", access="fixed")
    told = identity(config, Link("wwan0", "192.0.2.1", ("192.0.2.2",)))
    assert told == Line("A", 64500, "DZ", "fixed")


@pytest.mark.parametrize(
    ("interface", "access"), [("wwan0", "mobile"), ("eth0", "unknown"), ("ppp0", "unknown"), ("", "unknown")]
)
def test_a_mobile_modem_shows_where_nothing_was_said(interface: str, access: str) -> None:
    assert identity(LineConfig(), Link(interface)).access == access
