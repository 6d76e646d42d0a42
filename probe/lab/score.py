"""One run of the score: a measurement in a lab, as a command of its own, beside what is true."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from probe import measurements
from probe.lab.files import config_text
from probe.lab.kinds import Impair
from probe.lab.lab import Lab, Truth
from probe.lab.scenario import Expectation
from probe.model.config import Config, ControlConfig, ProbeConfig
from probe.model.errors import ColibriError
from probe.model.finding import Location

Finished = subprocess.CompletedProcess[bytes]

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
    run: int = 0
    rules: str = ""  # version of the measurement's rules
    line: Impair | None = None  # what was wrong with the access line besides

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
    """A :class:`Runner`: ``colibri measure`` as a program of its own in the home (contract 2)."""
    return measured(lab, expected, _program)


def measured(lab: Lab, expected: Expectation, call: Callable[[Lab, str, Sequence[str], float], Finished]) -> Outcome:
    """Measure by a call of ``colibri``: ``call(lab, operator, words, seconds)`` runs it in the home of an operator and
    raises TimeoutExpired when it has not ended after so many seconds."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "colibri.toml")
        config.write_text(config_text(_isolated(lab.config(expected.operator), folder)), "utf-8")
        words = ["measure", expected.measurement.replace("_", "-"), expected.target, "--json", "--config", str(config),
                 *_options(expected)]
        try:
            done = call(lab, expected.operator, words, _PATIENCE)
        except subprocess.TimeoutExpired:
            return Outcome(error=f"no answer in {_PATIENCE:.0f} s", seconds=_PATIENCE)
    seconds = time.monotonic() - begun
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Outcome(error=f"status {done.returncode}: {' '.join(last)}", seconds=seconds)
    return _read(done.stdout, seconds)


def _program(lab: Lab, operator: str, words: Sequence[str], seconds: float) -> Finished:
    return lab.run(operator, [sys.executable, "-m", "probe", *words], capture_output=True, timeout=seconds)


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


def observe(lab: Lab, expected: Expectation, runner: Runner, run: int = 0, line: Impair | None = None) -> Observation:
    """Measure once in a lab that is up, beside the truth that it knows."""
    try:
        outcome = runner(lab, expected)
    except ColibriError as error:
        outcome = Outcome(error=str(error))
    truth = lab.truth(expected.operator, expected.at) if expected.at else Truth(0, (), 0)
    one = lab.state.scenario
    return Observation(
        one.name, one.confounder, expected, truth.ttl, truth.addresses, outcome, run, rules(expected.measurement), line
    )


@functools.cache
def rules(measurement: str) -> str:
    """Version of a measurement's rules, "" where there is no such measurement."""
    return measurements.load(measurement).version if measurement in measurements.names() else ""
