"""The whole score: every expectation of every scenario, many times, many labs at a time, to be broken off and resumed.

Each run is a line of a log as soon as it is over. A run that the log holds already, of the same scenario and by the
same rules, is not made again.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from random import Random

import msgspec

from probe import measurements
from probe.lab import scenario as scenarios
from probe.lab.kinds import Impair
from probe.lab.lab import Lab
from probe.lab.parts import end_with_parent
from probe.lab.scenario import Expectation, Scenario
from probe.lab.score import Observation, Runner, command, observe, rules
from probe.model.errors import ColibriError, MalformedRecord

_CHUNK = 20  # measurements for which a lab stays up: the fewer, the more evenly the work is shared out
_LOSS, _JITTER, _REORDER = 0.05, 0.02, 0.02  # the worst that a run's access line may be
_JOBS_EACH = 5  # labs for a processor: a run mostly waits


class Entry(msgspec.Struct, frozen=True):
    """A line of the log. ``key``: what was run, so that it is known again."""

    key: str
    observation: Observation


class Work(msgspec.Struct, frozen=True):
    """What a process is given: some runs of a scenario, and those of its expectations that are still to be made."""

    scenario: Scenario
    runs: dict[int, list[int]]  # run → numbers of expectations
    keys: dict[str, str]  # "run expectation" → key
    impaired: bool
    log: str


def default_jobs() -> int:
    """Labs at a time that this machine has processors for."""
    return _JOBS_EACH * (os.cpu_count() or 1)


def measurable(one: Scenario, kinds: Sequence[str]) -> Scenario:
    """The scenario with only those expectations whose measurement is to be run."""
    return msgspec.structs.replace(one, expect=tuple(e for e in one.expect if e.measurement in kinds))


def drawn(scenario: str, run: int) -> Impair:
    """The access line of a run: loss, jitter and overtaking, drawn anew for each run, the same each time."""
    chance = Random(f"{scenario} {run}")
    return Impair(
        at="", loss=round(chance.uniform(0, _LOSS), 4), jitter=round(chance.uniform(0, _JITTER), 4),
        reorder=round(chance.uniform(0, _REORDER), 4),
    )  # fmt: skip


def key_of(one: Scenario, expected: Expectation, run: int, impaired: bool) -> str:
    """Names a run: scenario, expectation, rules. If any of them changes, it is another run."""
    bare = msgspec.structs.replace(one, expect=(expected,), description="")
    content = [bare, run, impaired, rules(expected.measurement)]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:24]


def read_log(path: Path) -> dict[str, Observation]:
    """What a log holds, by key; the last line may be cut. A run that said nothing does not count: it is made again.

    Raises MalformedRecord.
    """
    if not path.exists():
        return {}
    found = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            entry = msgspec.json.decode(line, type=Entry) if line else None
        except msgspec.DecodeError as error:
            if number == len(lines):
                continue  # it was being written when all ended
            raise MalformedRecord(f"{path}:{number}", str(error)) from error
        if entry is not None:
            found[entry.key] = entry.observation
    return {key: one for key, one in found.items() if not one.outcome.error}


def play(work: Work, runner: Runner) -> list[Observation]:
    """Raise the scenario and make the runs; each is in the log when it is over."""
    made = []
    one = msgspec.structs.replace(work.scenario, impairable=work.impaired)
    with Lab.up(one) as lab, Path(work.log).open("ab", buffering=0) as log:
        for run, numbers in work.runs.items():
            line = drawn(one.name, run) if work.impaired else None
            if line is not None:
                lab.impair(line)
            for number in numbers:
                made.append(observe(lab, one.expect[number], runner, run, line))
                entry = Entry(work.keys[f"{run} {number}"], made[-1])
                log.write(msgspec.json.encode(entry) + b"\n")  # one write: lines of several processes don't mix
    return made


def run(
    names: Iterable[str] = (), *, runs: int, jobs: int, progress: Callable[[str], None], impaired: bool = False,
    log: Path | None = None, runner: Runner = command, kinds: Sequence[str] | None = None,
) -> list[Observation]:
    """Play shipped scenarios (all, if none is named), ``jobs`` at a time. Raises UsageError on an unknown name.

    ``impaired``: every run gets an access line of its own (:func:`drawn`). ``log``: resume this one; None: none is
    kept. ``kinds``: the measurements to run (None: those installed); expectations of others are left out, and said so.
    """
    kinds = measurements.names() if kinds is None else kinds
    chosen = [scenarios.find(name) for name in names] or list(scenarios.shipped().values())
    wanted = [measurable(one, kinds) for one in chosen]
    left_out = sum(len(one.expect) for one in chosen) - sum(len(one.expect) for one in wanted)
    if left_out:
        progress(f"{left_out} expectations are of other measurements, or of some that do not exist yet")
    with tempfile.TemporaryDirectory() as folder:
        path = log or Path(folder, "log.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        _end_last_line(path)
        found = read_log(path)
        keys = {(one.name, number, nth): key_of(one, expected, nth, impaired)
                for one in wanted for number, expected in enumerate(one.expect) for nth in range(runs)}
        work = list(_shared_out(wanted, runs, keys, found.keys(), impaired, path))
        if known := sum(key in found for key in keys.values()):
            progress(f"{known} of {len(keys)} runs are in {path} already")
        _make(work, jobs, runner, progress)
        everything = {**found, **_all(path)}
    return [everything[key] for key in keys.values() if key in everything]


def _end_last_line(path: Path) -> None:
    """What a killed process left half written must not swallow the next line."""
    if path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n"):
        path.write_bytes(text[: text.rfind(b"\n") + 1])


def _all(path: Path) -> dict[str, Observation]:
    """Everything in the log, the last word on each run, runs that said nothing included."""
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    entries = [msgspec.json.decode(line, type=Entry) for line in lines if line]
    return {entry.key: entry.observation for entry in entries}


def _shared_out(
    wanted: Sequence[Scenario], runs: int, keys: dict[tuple[str, int, int], str], known: Iterable[str],
    impaired: bool, log: Path,
) -> Iterable[Work]:  # fmt: skip
    """Chunks of runs, all scenarios' first ones first: broken off, the score is thinner, not lopsided."""
    done = set(known)
    firsts = []
    for place, one in enumerate(wanted):
        length = max(1, _CHUNK // max(1, len(one.expect)))
        firsts += [(first, place, length) for first in range(0, runs, length)]
    for first, place, length in sorted(firsts):
        one = wanted[place]
        missing = {
            nth: [n for n in range(len(one.expect)) if keys[one.name, n, nth] not in done]
            for nth in range(first, min(first + length, runs))
        }
        missing = {nth: numbers for nth, numbers in missing.items() if numbers}
        if missing:
            own = {f"{nth} {n}": keys[one.name, n, nth] for nth, numbers in missing.items() for n in numbers}
            yield Work(one, missing, own, impaired, str(log))


def _make(work: Sequence[Work], jobs: int, runner: Runner, progress: Callable[[str], None]) -> None:
    if not work:
        return
    begun = time.monotonic()
    # Spawned, not forked: a lab ends with the process that holds its pipe, and a fork would hold all of them.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(work)), context, initializer=end_with_parent) as pool:
        waiting = {pool.submit(play, one, runner): one.scenario.name for one in work}
        try:
            for number, future in enumerate(as_completed(waiting), 1):
                name, made = waiting[future], []
                try:
                    made = future.result()
                except ColibriError as error:
                    progress(f"[{number}/{len(work)}] {name}: {error}")
                    continue
                right = sum(one.technique_right for one in made)
                accused = sum(one.outcome.verdict == "interfered" and "interfered" not in one.expected.verdict
                              for one in made)  # fmt: skip
                alarm = f", {accused} FALSE ALARMS" if accused else ""
                left = (time.monotonic() - begun) / number * (len(work) - number) / 60
                progress(f"[{number}/{len(work)}] {name}: {right} of {len(made)} as expected{alarm}"
                         f" ({left:.0f} min left)")  # fmt: skip
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
