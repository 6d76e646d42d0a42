"""The whole score's plumbing: sharing out, breaking off, resuming."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from probe.lab import matrix, scenario
from probe.lab.kinds import RouteAway
from probe.lab.lab import Lab
from probe.lab.matrix import Entry, Work
from probe.lab.scenario import Expectation, Scenario, find
from probe.lab.score import Observation, Outcome
from probe.model.errors import MalformedRecord, NoRoute, UsageError
from probe.model.finding import Location

EXPECTED = Expectation(operator="chain", measurement="dns_injection", target="press.example", verdict=("clean",))
CHAIN = Scenario(name="one", description="One.", world="chain", hops=2, rtt=0, expect=(EXPECTED,))


def guess(lab: Lab, expected: Expectation) -> Outcome:
    """A runner that always cries wolf, right where the truth is; and cannot measure on Atlas."""
    if expected.operator == "atlas":
        raise NoRoute("no route")
    ttl = lab.truth(expected.operator, expected.at).ttl if expected.at else 1
    return Outcome("interfered", expected.technique or "tcp_reset", "guess", Location(ttl - 1, ttl))


def honest(lab: Lab, expected: Expectation) -> Outcome:
    return Outcome("clean")


@pytest.mark.lab
def test_scenarios_are_played_side_by_side_in_their_own_labs() -> None:
    said: list[str] = []
    found = matrix.run(["demo", "honest"], runs=2, jobs=2, progress=said.append, runner=guess,
                       kinds=["dns_injection", "tcp_reset"])  # fmt: skip
    assert {o.scenario: sum(x.scenario == o.scenario for x in found) for o in found} == {"demo": 18, "honest": 10}
    assert {o.outcome.error for o in found if o.expected.operator == "atlas"} == {"no route"}
    injected = [o for o in found if o.expected.at]
    assert len(injected) == 4
    assert all(o.technique_right and o.place_right and o.true_ttl in (3, 4) for o in injected)
    assert not any(o.verdict_right for o in found if not o.expected.at)
    results = sorted(line.split("] ")[1].split(" (")[0] for line in said if line.startswith("["))
    assert results == ["demo: 4 of 18 as expected, 8 FALSE ALARMS", "honest: 0 of 10 as expected, 4 FALSE ALARMS"]


def patient(lab: Lab, expected: Expectation) -> Outcome:
    """A runner that says that it runs, and does not end."""
    print("running", flush=True)
    time.sleep(600)
    raise AssertionError


@pytest.mark.lab
def test_nothing_outlives_a_score_that_is_killed() -> None:
    script = (
        "from probe.lab import matrix\nfrom tests.lab.test_matrix import patient\n"
        "if __name__ == '__main__':\n"
        "    matrix.run(['honest'], runs=1, jobs=1, progress=print, runner=patient, kinds=['dns_injection'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    ) as score:
        assert score.stdout is not None
        assert any("running" in line for line in score.stdout)
        score.kill()
        assert score.stdout.read() == ""  # that pipe's other end is with the worker and its lab: all have ended


@pytest.mark.lab
def test_what_the_log_holds_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "shipped", lambda: {"one": CHAIN})
    log, said = tmp_path / "sub" / "log.jsonl", list[str]()
    kinds = ["dns_injection"]
    first = matrix.run(["one"], runs=2, jobs=1, progress=said.append, runner=honest, log=log, kinds=kinds)
    assert [o.run for o in first] == [0, 1]
    log.write_bytes(log.read_bytes() + b'{"key": "cut')
    again = matrix.run(["one"], runs=6, jobs=2, progress=said.append, runner=guess, log=log, kinds=kinds)
    assert [o.outcome.verdict for o in again] == ["clean"] * 2 + ["interfered"] * 4
    assert f"2 of 6 runs are in {log} already" in said
    assert len(log.read_bytes().splitlines()) == 6
    assert matrix.run(["one"], runs=6, jobs=2, progress=said.append, runner=honest, log=log, kinds=kinds) == again


@pytest.mark.lab
def test_every_run_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "shipped", lambda: {"one": CHAIN})
    found = matrix.run(["one"], runs=3, jobs=1, progress=print, runner=honest, impaired=True, kinds=["dns_injection"])
    assert [o.line for o in found] == [matrix.drawn("one", run) for run in range(3)]
    assert len({o.line.loss for o in found if o.line}) == 3


def test_lines_are_drawn_up_to_the_worst_and_the_same_again() -> None:
    lines = [matrix.drawn("one", run) for run in range(400)]
    assert lines == [matrix.drawn("one", run) for run in range(400)]
    assert 0 <= min(line.loss for line in lines) < 0.003
    assert 0.047 < max(line.loss for line in lines) <= 0.05
    assert 0.02 < sum(line.loss for line in lines) / 400 < 0.03
    assert all(0 <= line.jitter <= 0.02 and 0 <= line.reorder <= 0.02 for line in lines)


def test_a_run_is_another_if_anything_that_matters_changed() -> None:
    key = matrix.key_of(CHAIN, EXPECTED, 0, False)
    renamed = msgspec.structs.replace(CHAIN, description="Said otherwise.")
    assert matrix.key_of(renamed, EXPECTED, 0, False) == key
    boxed = msgspec.structs.replace(CHAIN, boxes=(RouteAway(at="chain.r1", prefixes=()),))
    other = msgspec.structs.replace(EXPECTED, target="x")
    changed = {
        key, matrix.key_of(boxed, EXPECTED, 0, False), matrix.key_of(CHAIN, other, 0, False),
        matrix.key_of(CHAIN, EXPECTED, 1, False), matrix.key_of(CHAIN, EXPECTED, 0, True),
    }  # fmt: skip
    assert len(changed) == 5


def entry(key: str, **outcome: str) -> bytes:
    one = Observation("one", False, EXPECTED, 0, (), Outcome(**outcome))  # type: ignore[arg-type]
    return msgspec.json.encode(Entry(key, one)) + b"\n"


def test_a_log_forgives_its_last_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert matrix.read_log(path) == {}
    path.write_bytes(entry("a", verdict="clean") + entry("b", error="no route") + b'{"key"')
    assert list(matrix.read_log(path)) == ["a"]  # what said nothing is run again
    path.write_bytes(b"{\n" + entry("a", verdict="clean"))
    with pytest.raises(MalformedRecord, match=":1"):
        matrix.read_log(path)


def test_all_scenarios_have_their_first_runs_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "_CHUNK", 4)
    two = msgspec.structs.replace(CHAIN, name="two")
    keys = {(one.name, 0, run): f"{one.name}{run}" for one in (CHAIN, two) for run in range(6)}
    work = list(matrix._shared_out([CHAIN, two], 6, keys, ["one0", "two4", "two5"], False, Path("log")))
    assert [(w.scenario.name, w.runs) for w in work] == [
        ("one", {1: [0], 2: [0], 3: [0]}), ("two", {0: [0], 1: [0], 2: [0], 3: [0]}), ("one", {4: [0], 5: [0]}),
    ]  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(work[0]), type=Work) == work[0]


def test_measurements_that_do_not_exist_are_left_out_aloud() -> None:
    said: list[str] = []
    assert matrix.run(["demo"], runs=1, jobs=1, progress=said.append, kinds=[]) == []
    left_out = len(find("demo").expect)
    assert said == [f"{left_out} expectations are of other measurements, or of some that do not exist yet"]


def test_an_unknown_scenario_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="atlantis"):
        matrix.run(["atlantis"], runs=1, jobs=1, progress=print)


def test_more_labs_than_processors() -> None:
    assert matrix.default_jobs() >= 2
