"""The handle of a lab."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probe.lab import state
from probe.lab.kinds import Impair, RouteAway
from probe.lab.lab import Lab
from probe.lab.scenario import Expectation, Scenario
from probe.model.errors import UsageError
from tests.lab.conftest import crowding, quickest

pytestmark = pytest.mark.lab

Start = Callable[..., Any]
CHAIN = Scenario(name="x", description="X.", world="chain", hops=2, rtt=0)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_three_operators_are_up_and_down_in_three_seconds() -> None:
    def slower() -> float:
        before, begun = crowding(), time.monotonic()
        with Lab.up("demo") as lab:
            up = time.monotonic() - begun
            assert sorted(lab.homes) == ["atlas", "oran", "sale"]
        down = time.monotonic() - begun - up
        assert state.running() == []
        return max(up, down) / max(before, crowding())

    assert quickest(3, slower) < 3


def test_two_labs_coexist() -> None:
    with Lab.up(CHAIN) as one, Lab.up(CHAIN) as two:
        assert one.state.name != two.state.name
        spaces = []
        for lab in (one, two):
            with lab.enter("chain"):
                spaces.append(os.readlink("/proc/thread-self/ns/net"))  # noqa: PTH115 - not a path
                socket.create_connection(("203.0.113.10", 80), timeout=2).close()
        assert len({*spaces, os.readlink("/proc/thread-self/ns/net")}) == 3  # noqa: PTH115
        assert {found.name for found in state.running()} == {one.state.name, two.state.name}


def test_one_name_is_for_one_lab() -> None:
    with Lab.up(CHAIN, "mine") as lab:
        with pytest.raises(UsageError, match="mine"):
            Lab.up(CHAIN, "mine")
        assert Lab.find("mine").state == lab.state
    with pytest.raises(UsageError, match="mine"):
        Lab.find("mine")


def test_a_detached_lab_is_ended_by_anyone() -> None:
    Lab.up(CHAIN, "far", detach=True)
    found = Lab.find("far")
    assert state.start_time(found.state.pid) == found.state.started
    found.down()
    assert state.running() == []
    assert state.start_time(found.state.pid) == 0
    found.down()  # no harm


def test_a_lab_dies_with_the_process_that_raised_it() -> None:
    script = (
        "import os, signal\nfrom probe.lab.lab import Lab\nlab = Lab.chain(1)\n"
        "print(lab.state.pid, lab.state.started, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    pid, started = map(int, done.stdout.split())
    end = time.monotonic() + 5
    while state.start_time(pid) == started and time.monotonic() < end:
        time.sleep(0.01)
    assert state.start_time(pid) != started
    assert state.running() == []


def test_one_that_has_to_be_killed_leaves_no_file_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.lab.lab._DOWN", 0.2)
    lab = Lab.up(CHAIN)
    os.kill(lab.state.pid, signal.SIGSTOP)
    lab.down()
    assert list(state.folder().iterdir()) == []


def test_what_is_wrong_with_a_scenario_reaches_the_caller() -> None:
    bad = Scenario(name="x", description="X.", boxes=(RouteAway(at="moon", prefixes=()),))
    with pytest.raises(UsageError, match="moon"):
        Lab.up(bad)
    with pytest.raises(UsageError, match="atlantis"):
        Lab.up("atlantis")


def test_access_links_get_worse_while_it_is_up(chain: Start) -> None:
    def connects() -> float:
        begun = time.monotonic()
        with lab.enter("chain"), socket.create_connection(("203.0.113.10", 80), timeout=0.5):
            return time.monotonic() - begun

    with Lab.up(Scenario(name="x", description="X.", world="chain", rtt=0.0, impairable=True)) as lab:
        assert quickest(0.05, connects) < 0.05
        lab.impair(Impair(at="", loss=1.0))
        with pytest.raises(TimeoutError):
            connects()
        lab.impair(Impair(at="", delay=0.05))
        assert connects() >= 0.1
    with pytest.raises(UsageError, match="impaired"):
        chain().impair(Impair(at=""))


def test_commands_run_in_the_home(chain: Start) -> None:
    lab = chain(rtt=0)
    done = lab.run("chain", ["ip", "-o", "-4", "address", "show", "eth0"], capture_output=True, text=True)
    assert "198.18.1.100" in done.stdout
    assert lab.run("chain", ["cat"], input=b"hello", capture_output=True).stdout == b"hello"
    assert lab.run("server", ["ip", "-o", "address"], stdout=subprocess.PIPE, text=True).stdout.count("203.0.113") == 2
    with pytest.raises(subprocess.CalledProcessError):
        lab.run("chain", ["false"], check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        lab.run("chain", ["sleep", "60"], timeout=0.05)
    with lab.popen("chain", ["ip", "route"], stdout=subprocess.PIPE, text=True) as process:
        assert "default via 198.18.1.101" in process.communicate()[0]
    entered = ["nsenter", f"--net={lab.homes['chain'].netns_path}", "ip", "route"]
    assert b"198.18.1.101" in subprocess.run(entered, capture_output=True, check=True).stdout


def test_a_line_has_its_configuration_targets_and_truth() -> None:
    expect = (
        Expectation(operator="sale", measurement="dns_injection", target="press.example", verdict=("clean",)),
        Expectation(operator="sale", measurement="dns_resolver", target="press.example", verdict=("clean",),
                    options={"resolver": "198.18.30.53"}),
        Expectation(operator="oran", measurement="dns_injection", target="octenium.example", verdict=("clean",)),
    )
    others = tuple(
        Expectation(operator="atlas", measurement="ttl_path", target=target, verdict=("clean",))
        for target in ("198.51.100.10:443", "2001:db8:a0::10", "192.168.7.7", "other.example")
    )
    boxes = (Impair(at="sale.core"),)
    with Lab.up(Scenario(name="x", description="X.", expect=expect + others, boxes=boxes)) as lab:
        config = lab.config("sale")
        assert (config.line.operator, config.line.asn, config.line.access) == ("Sale", 64503, "mobile")
        assert "203.0.113.0/24" in config.safety.allow_networks
        assert "192.168.0.0/16" not in config.safety.allow_networks
        assert lab.asn_of(config.measure.silent) == lab.asn_of(config.measure.resolver) == 64540
        (target,) = lab.targets("sale").targets
        assert (target.target, target.group) == ("press.example", "press")
        assert target.measurements == ["dns_injection", "dns_resolver"]
        assert [entry.group for entry in lab.targets("atlas").targets] == ["octenium", "press", "", ""]
        truth = lab.truth("sale", "sale.core")
        assert (truth.ttl, truth.addresses, truth.asn) == (4, ("198.18.30.4", "2001:db8:30::4"), 64503)
        assert "192.168.1.1" in lab.truth("oran", "oran.router").addresses
        with pytest.raises(UsageError, match="moon"):
            lab.truth("sale", "moon")


def test_it_works_without_privileges_in_a_user_namespace() -> None:
    script = (
        "import socket\nfrom probe.lab.lab import Lab\n"
        "with Lab.up('demo') as lab, lab.enter('atlas'):\n"
        "    socket.create_connection(('203.0.113.10', 443), timeout=5).close()\n"
        "    print('works')\n"
    )
    command = ["unshare", "-Urn", sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("works\n", "", 0)
