"""What boxes that are rules of a kernel do to packets."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab.kinds import Ban, PortBlock, RouteAway, UdpBlock
from probe.lab.lab import Lab
from probe.model.packet import Icmp

pytestmark = pytest.mark.lab

Start = Callable[..., Any]
SERVER, SERVER6 = "203.0.113.10", "2001:db8:a0::10"


def echoing(lab: Lab, port: int = 7000, address: str = SERVER) -> subprocess.Popen[bytes]:
    """A server on UDP and a port of it, which sends back what comes."""
    script = (
        "import socket,sys\ns=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
        "socket.SOCK_DGRAM)\ns.bind((sys.argv[1],int(sys.argv[2])))\nprint(flush=True)\n"
        "while True:\n d,a=s.recvfrom(99)\n s.sendto(d,a)"
    )
    started = lab.popen("server", ["python3", "-c", script, address, str(port)], stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    return started


@contextlib.contextmanager
def echo(lab: Lab, port: int, address: str = SERVER) -> Any:
    process = echoing(lab, port, address)
    try:
        yield
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def says(lab: Lab, port: int, address: str = SERVER) -> str:
    with lab.enter("chain"):
        asker = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with asker:
        asker.settimeout(0.3)
        asker.connect((address, port))
        asker.send(b"hello")
        try:
            return asker.recv(99).decode()
        except OSError as error:
            return type(error).__name__


def opens(lab: Lab, port: int, address: str = SERVER) -> str:
    try:
        with lab.enter("chain"), socket.create_connection((address, port), timeout=0.4):
            return "open"
    except OSError as error:
        return type(error).__name__


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_ports_are_blocked_each_way(chain: Start, direction: Any) -> None:
    lab = chain(PortBlock(at="chain.r2", ports=(7000,), direction=direction))
    for address in (SERVER, SERVER6):
        with echo(lab, 7000, address), echo(lab, 7001, address):
            assert (says(lab, 7000, address), says(lab, 7001, address)) == ("TimeoutError", "hello")


def test_tcp_is_reset_from_the_server_s_name(chain: Start, listen: Start) -> None:
    lab = chain(PortBlock(at="chain.r2", protocol="tcp", ports=(443,), action="reset"))
    ear = listen(lab)
    assert (opens(lab, 443), opens(lab, 80), opens(lab, 443, SERVER6)) == ("ConnectionRefusedError", "open",
                                                                          "ConnectionRefusedError")  # fmt: skip
    first = ear.packets(0.2)[0]
    assert (first.source, first.ttl) == (SERVER, 63)  # the home is one router away from it


@pytest.mark.parametrize(
    ("action", "code"),
    [("net_unreachable", 0), ("host_unreachable", 1), ("port_unreachable", 3), ("net_prohibited", 9),
     ("host_prohibited", 10), ("admin_prohibited", 13)],
)  # fmt: skip
def test_a_filter_and_a_route_can_refuse_with_every_code(chain: Start, listen: Start, action: Any, code: int) -> None:
    lab = chain(
        PortBlock(at="chain.r2", ports=(7000,), action=action),
        RouteAway(at="chain.r3", prefixes=("203.0.113.11/32",), action=action),
    )
    ear = listen(lab)
    says(lab, 7000)
    says(lab, 7000, "203.0.113.11")
    says(lab, 7001, "203.0.113.11")
    heard = [(p.source, p.header.type, p.header.code) for p in ear.packets(0.2) if isinstance(p.header, Icmp)]
    assert heard == [("198.18.1.2", 3, code), ("198.18.1.2", 3, code), ("198.18.1.3", 3, code)]


def test_all_udp_is_blocked_but_names_and_time(chain: Start) -> None:
    lab = chain(UdpBlock(at="chain.r2"))
    with echo(lab, 123), echo(lab, 7000):
        assert (says(lab, 123), says(lab, 7000)) == ("hello", "TimeoutError")
    assert opens(lab, 80) == "open"


def test_the_way_back_can_be_lost(chain: Start) -> None:
    lab = chain(RouteAway(at="chain.r2", prefixes=(f"{SERVER}/32", f"{SERVER6}/128"), direction="down"))
    with lab.enter("server"):
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    ear.settimeout(1)
    with ear:
        assert opens(lab, 80) == "TimeoutError"
        data = ear.recv(4096)
        assert socket.inet_ntoa(data[16:20]) == SERVER or data[0] >> 4 == 6  # it did arrive
    assert opens(lab, 80, "203.0.113.11") == "open"
    assert opens(lab, 80, SERVER6) == "TimeoutError"


def test_a_host_bans_who_knocks_too_often(chain: Start) -> None:
    lab = chain(Ban(at="server", connections=4, seconds=30, hold=30))
    found = [opens(lab, 80) for _ in range(6)]
    assert found == ["open"] * 4 + ["TimeoutError"] * 2
    assert opens(lab, 443) == "TimeoutError"
    assert opens(lab, 80, SERVER6) == "open"


def test_a_ban_ends(chain: Start) -> None:
    lab = chain(Ban(at="server", connections=2, seconds=0.3, hold=0.3, action="reset"))
    found = [opens(lab, 80) for _ in range(3)]
    assert found == ["open"] * 2 + ["ConnectionRefusedError"]
    with lab.enter("chain"), socket.socket() as late:
        late.settimeout(3)
        while late.connect_ex((SERVER, 80)) != 0:  # tries end the test by its timeout if the ban never ends
            pass
