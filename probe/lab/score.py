"""Measures every scenario against the truth: each expectation, several times, several labs at a time."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol

import msgspec

from probe import measurements
from probe.lab import scenario as scenarios
from probe.lab.files import config_text
from probe.lab.lab import Lab, Truth
from probe.lab.scenario import Expectation, Scenario
from probe.model.config import Config, ControlConfig, ProbeConfig
from probe.model.errors import ColibriError
from probe.model.finding import Location

_PATIENCE = 180.0  # seconds that one measurement may take


class Outcome(msgspec.Struct, frozen=True):
    """What one measurement said. ``error``: why it said nothing."""

    verdict: str = ""
    technique: str = ""
    rule: str = ""
    location: Location | None = None
    seconds: float = 0.0
    error: str = ""


class Observation(msgspec.Struct, frozen=True):
    """One run of one expectation: what was expected, what is true, what came out."""

    scenario: str
    confounder: bool
    expected: Expectation
    true_ttl: int
    true_addresses: tuple[str, ...]
    outcome: Outcome

    @property
    def verdict_right(self) -> bool:
        return self.outcome.verdict in self.expected.verdict

    @property
    def technique_right(self) -> bool:
        """The verdict is right and, where interference is found, so is its name."""
        named = self.outcome.verdict != "interfered" or self.expected.technique in (None, self.outcome.technique)
        return self.verdict_right and named

    @property
    def place_right(self) -> bool:
        """The link given contains the true router: as one of its ends, and by its address where one is given."""
        link = self.outcome.location
        if link is None or not link.clean_ttl <= self.true_ttl <= link.first_ttl:
            return False
        ends = {link.clean_ttl: link.clean_hop, link.first_ttl: link.first_hop}
        hop = ends.get(self.true_ttl)
        return hop is None or not hop.address or hop.address in self.true_addresses

    @property
    def place_exact(self) -> bool:
        """The link given is the very one by which packets enter the true router: where every box of the lab acts."""
        link = self.outcome.location
        return self.place_right and link is not None and (link.clean_ttl, link.first_ttl) == (
            self.true_ttl - 1, self.true_ttl
        )  # fmt: skip

    @property
    def width(self) -> int:
        """Hops between the ends of the link given; 1 is the best there is, 0 if there is none."""
        link = self.outcome.location
        return 0 if link is None else link.first_ttl - link.clean_ttl


class Runner(Protocol):
    """Measures an expectation once in a lab that is up. Must be importable by name: it runs in other processes."""

    def __call__(self, lab: Lab, expected: Expectation) -> Outcome: ...


def command(lab: Lab, expected: Expectation) -> Outcome:
    """The :class:`Runner` of the score: ``colibri measure`` as a process of its own in the home (contract 2)."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "colibri.toml")
        config.write_text(config_text(_isolated(lab.config(expected.operator), folder)), "utf-8")
        argv = [sys.executable, "-m", "probe", "measure", expected.measurement.replace("_", "-"), expected.target,
                "--json", "--config", str(config), *_options(expected)]
        try:
            done = lab.run(expected.operator, argv, capture_output=True, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return Outcome(error=f"no answer in {_PATIENCE:.0f} s", seconds=_PATIENCE)
    seconds = time.monotonic() - begun
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Outcome(error=f"status {done.returncode}: {' '.join(last)}", seconds=seconds)
    return _read(done.stdout, seconds)


def _isolated(config: Config, folder: str) -> Config:
    """Keeps the run away from a daemon of this machine and from its state."""
    return msgspec.structs.replace(
        config, probe=ProbeConfig(id="lab", state_dir=folder), control=ControlConfig(socket="")
    )


def _options(expected: Expectation) -> list[str]:
    words: list[str] = []
    for key, value in expected.options.items():
        text = ",".join(value) if isinstance(value, list) else str(value)
        words += [f"--{key.replace('_', '-')}", text]
    return words


def _read(output: bytes, seconds: float) -> Outcome:
    """The last finding of the output; ad hoc runs print one a line."""
    lines = [line for line in output.splitlines() if line.strip()]
    try:
        finding: Any = msgspec.json.decode(lines[-1])
        found = finding["interference"] or {}
        location = msgspec.convert(found.get("location"), Location | None)
        return Outcome(finding["verdict"], found.get("technique", ""), finding["rule"], location, seconds)
    except (IndexError, KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        return Outcome(error=f"no finding in the output: {error!r}", seconds=seconds)


def measurable(one: Scenario, kinds: Sequence[str]) -> Scenario:
    """The scenario with only those expectations whose measurement exists."""
    return msgspec.structs.replace(one, expect=tuple(e for e in one.expect if e.measurement in kinds))


def play(one: Scenario, runs: int, runner: Runner) -> list[Observation]:
    """Raise a scenario once and measure each of its expectations ``runs`` times."""
    observations = []
    with Lab.up(one) as lab:
        for _ in range(runs):
            for expected in one.expect:
                try:
                    outcome = runner(lab, expected)
                except ColibriError as error:
                    outcome = Outcome(error=str(error))
                observations.append(_observe(lab, one, expected, outcome))
    return observations


def _observe(lab: Lab, one: Scenario, expected: Expectation, outcome: Outcome) -> Observation:
    truth = lab.truth(expected.operator, expected.at) if expected.at else Truth(0, (), 0)
    return Observation(one.name, one.confounder, expected, truth.ttl, truth.addresses, outcome)


def run(
    names: Iterable[str] = (), *, runs: int, jobs: int, progress: Callable[[str], None],
    runner: Runner = command, kinds: Sequence[str] | None = None,
) -> list[Observation]:
    """Play shipped scenarios (all, if none is named), ``jobs`` at a time. Raises UsageError on an unknown name.

    ``kinds``: the measurements there are (None: those installed); expectations of others are left out, and said so.
    """
    kinds = measurements.names() if kinds is None else kinds
    chosen = [scenarios.find(name) for name in names] or list(scenarios.shipped().values())
    wanted = [measurable(one, kinds) for one in chosen]
    left_out = sum(len(one.expect) for one in chosen) - sum(len(one.expect) for one in wanted)
    if left_out:
        progress(f"{left_out} expectations are of measurements that do not exist yet")
    found: dict[str, list[Observation]] = {}
    # Spawned, not forked: a lab ends with the process that holds its pipe, and a fork would hold all of them.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(play, one, runs, runner): one for one in wanted if one.expect}
        for number, future in enumerate(as_completed(waiting), 1):
            name = waiting[future].name
            found[name] = future.result()
            right = sum(o.technique_right for o in found[name])
            progress(f"[{number}/{len(waiting)}] {name}: {right} of {len(found[name])} as expected")
    return [observation for one in wanted for observation in found.get(one.name, [])]
