"""The handle by which tests, the demo and the command line hold a lab."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec

from probe.lab import scenario as scenarios
from probe.lab import state as states
from probe.lab.kinds import Box, Impair
from probe.lab.namespaces import Namespace
from probe.lab.scenario import Scenario
from probe.lab.state import State
from probe.lab.world import NETWORKS, asn_of
from probe.model.config import Config, LineConfig, MeasureConfig, SafetyConfig, TargetEntry, TargetList
from probe.model.errors import CannotMeasure, UsageError

_DOWN = 5.0  # seconds that a lab may take to end


class Truth(msgspec.Struct, frozen=True):
    """Where a node really is: the TTL that reaches it from the home (the home router is 1) and all its addresses."""

    ttl: int
    addresses: tuple[str, ...]
    asn: int


class HomeHandle(msgspec.Struct, frozen=True):
    """A home of a running lab."""

    operator: str
    node: str
    netns_path: str


class _Answer(msgspec.Struct, frozen=True):
    state: State | None = None
    error: str = ""
    exit_status: int = 1


class Lab:
    """A lab that is up. Made by :meth:`up` (it ends with this handle) or :meth:`find` (someone else's)."""

    def __init__(self, state: State, process: subprocess.Popen[bytes] | None = None) -> None:
        self.state = state
        self._process = process

    @classmethod
    def up(cls, scenario: Scenario | str, name: str = "", *, detach: bool = False) -> Lab:
        """Raise a lab and wait until it works. It ends with this process, unless detached.

        ``scenario``: one of the shipped by name, or your own. ``name``: "" makes one up. Raises UsageError (a lab of
        that name is up, no such scenario), ConfigError (a box at no node), NoPermission, CannotMeasure.
        """
        wanted = scenarios.find(scenario) if isinstance(scenario, str) else scenario
        name = name or f"{wanted.name[:40]}-{os.getpid()}-{time.monotonic_ns() % 10**9}"
        if states.read(name) is not None:
            raise UsageError(f"a lab called {name!r} is up already")
        command = [sys.executable, "-m", "probe.lab.process", name, *(["--detached"] if detach else [])]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if detach else None,
            start_new_session=True,  # Ctrl-C is for us, who then end it in order
        )  # fmt: skip
        lab = cls._await(process, wanted)
        if detach:
            lab._release()
        return lab

    @classmethod
    def chain(cls, hops: int = 4, boxes: Sequence[Box] = (), rtt: float = 0.0) -> Lab:
        """A tiny lab: one client (operator "chain"), routers ``chain.r1`` …, one server; up in a moment."""
        wanted = Scenario(name="chain", description="A chain.", world="chain", hops=hops, rtt=rtt, boxes=tuple(boxes))
        return cls.up(wanted)

    @classmethod
    def find(cls, name: str) -> Lab:
        """A lab that is up, by name. Raises UsageError."""
        state = states.read(name)
        if state is None:
            raise UsageError(f"no lab called {name!r} is up")
        return cls(state)

    @classmethod
    def _await(cls, process: subprocess.Popen[bytes], wanted: Scenario) -> Lab:
        assert process.stdin is not None  # noqa: S101 - told to mypy
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(msgspec.json.encode(wanted) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            answer = msgspec.json.decode(line, type=_Answer) if line else _Answer(error="the lab's process died")
        except BaseException:
            process.kill()
            _close(process)
            raise
        if answer.state is None:
            _close(process)
            raise (UsageError if answer.exit_status == UsageError.exit_status else CannotMeasure)(answer.error)
        return cls(answer.state, process)

    def _release(self) -> None:
        assert self._process is not None  # noqa: S101 - up() has just made it
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.returncode = 0  # it lives on without us: keep Popen from minding
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.down()

    def down(self) -> None:
        """End the lab and wait until its process is gone. Raises CannotMeasure if it does not end."""
        if self._process is not None:
            _close(self._process)
            states.read(self.state.name)  # removes the file of one that had to be killed
            return
        _terminate(self.state)

    def impair(self, how: Impair) -> None:
        """Make every home's access link so bad from now on. Raises UsageError where that is not possible."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None or not self.state.scenario.impairable:
            raise UsageError("only a lab of our own, of a scenario that is impairable, can be impaired")
        process.stdin.write(msgspec.json.encode(how) + b"\n")
        process.stdin.flush()
        if not process.stdout.readline():
            raise CannotMeasure("the lab's process died")

    @property
    def homes(self) -> dict[str, HomeHandle]:
        """Operator → its home."""
        return {
            operator: HomeHandle(operator, home.node, self.state.path(home.node))
            for operator, home in self.state.homes.items()
        }

    @contextlib.contextmanager
    def enter(self, operator: str) -> Iterator[None]:
        """Put the calling thread into the home of an operator (or into any node, by its name)."""
        home = self.state.homes.get(operator)
        namespace = Namespace.open(operator, self.state.path(home.node if home else operator))
        try:
            with namespace.inside():
                yield
        finally:
            namespace.close()

    def run(self, operator: str, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """``subprocess.run`` in the home of an operator."""
        with self.enter(operator):
            return subprocess.run(list(argv), **options)  # noqa: PLW1510 - the caller says

    def popen(self, operator: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """``subprocess.Popen`` in the home of an operator."""
        with self.enter(operator):
            return subprocess.Popen(list(argv), **options)

    def config(self, operator: str) -> Config:
        """The configuration of a probe on that line: its destinations opened, its line and usual options given."""
        home = self.state.homes[operator]
        files = {"authorities": str(self.state.authority_file), "prefixes": str(self.state.prefixes_file)}
        return Config(
            line=LineConfig(operator.title(), home.asn, home.country, home.access),
            safety=SafetyConfig(
                allow_networks=list(NETWORKS), packets_per_second=5000, target_packets_per_second=5000,
                target_spacing=0.0, bytes_per_day=10**10,
            ),
            measure=msgspec.convert({**home.measure, **files}, MeasureConfig),
        )  # fmt: skip

    def targets(self, operator: str) -> TargetList:
        """What the scenario expects to be measured from that line, as a target list."""
        entries: dict[str, TargetEntry] = {}
        for expected in self.state.scenario.expect:
            if expected.operator != operator:
                continue
            known = entries.get(expected.target, TargetEntry(expected.target, group=self._group(expected.target)))
            kinds = list(dict.fromkeys([*known.measurements, expected.measurement]))
            options = {**known.options, **expected.options}
            entries[expected.target] = msgspec.structs.replace(known, measurements=kinds, options=options)
        return TargetList(targets=list(entries.values()))

    def _group(self, target: str) -> str:
        """The site that a target is of, by its name or its address."""
        for site in ("octenium", "press"):
            if site in target:
                return site
        try:
            address = ipaddress.ip_address(target.rpartition(":")[0] if target.count(":") == 1 else target)
        except ValueError:
            return ""
        sites = [(ipaddress.ip_network(row.prefix), row.name) for row in self.state.prefixes]
        return next((name for network, name in sites if network.version == address.version and address in network), "")

    def truth(self, operator: str, node: str) -> Truth:
        """Where a node truly is, seen from a home. Raises UsageError."""
        distances = self.state.homes[operator].distances
        if node not in distances:
            raise UsageError(f"the lab has no node {node!r}")
        addresses = tuple(self.state.addresses[node])
        return Truth(distances[node], addresses, self.asn_of(addresses[0]))

    def asn_of(self, address: str) -> int:
        """AS number of an address, 0 if it is nobody's."""
        return asn_of(self.state.prefixes, address)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Ends a lab that was tied to us: its standard input ends, so it does."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    try:
        process.wait(_DOWN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _terminate(state: State) -> None:
    try:
        handle = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return
    try:
        if states.start_time(state.pid) != state.started:
            return
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        deadline = time.monotonic() + _DOWN
        while states.start_time(state.pid) == state.started:
            if time.monotonic() > deadline:
                raise CannotMeasure(f"lab {state.name!r} does not end", f"kill -9 {state.pid}")
            time.sleep(0.01)
    finally:
        os.close(handle)
