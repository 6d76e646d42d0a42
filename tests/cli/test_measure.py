"""``colibri measure``: what is asked of the engine, what is printed, how it ends. (Real packets: tests/engine.)"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe import measurements
from probe.agent import adhoc
from probe.agent.findings import assemble
from probe.cli.main import main
from probe.cli.measure import INTERFERED, kind_parser
from probe.engine import run as engine
from probe.model.config import Config
from probe.model.errors import NoRoute, UsageError
from probe.model.finding import Evidence, Finding, Judgement, Line, Probe, Target
from probe.model.outcome import Outcome

ASKED: list[tuple[Config, str, dict[str, object]]] = []


class FakeEngine:
    """Judges at once, by the target's name, and remembers what it was asked."""

    def __init__(self, config: Config, *_count: object) -> None:
        self._config = config

    async def run(
        self, measurement: str, options: Mapping[str, object], progress: Callable[[str], None] = lambda _: None
    ) -> Outcome:
        ASKED.append((self._config, measurement, dict(options)))
        name = str(options["target"])
        progress(f"asking for {name}")
        if name == "far.example":
            raise NoRoute("no route to far.example", "plug it in")
        verdict: Any = "interfered" if name == "banned.example" else "clean"
        return Outcome(
            measurement=measurement, version="1", started=1.0, duration=2.0, clock="synchronised",
            judgement=Judgement(verdict=verdict, rule=f"{measurement}/x", target=Target(name), reasons=["So it is."]),
            evidence=Evidence(packets=3), pcapng=b"packets of run %d" % len(ASKED),
        )  # fmt: skip


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A configuration of this test's own, and the engine replaced."""
    ASKED.clear()
    monkeypatch.setattr(engine, "EngineRunner", FakeEngine)
    path = tmp_path / "colibri.toml"
    path.write_text(
        f'[probe]\nid = "p-test"\nstate_dir = "{tmp_path}"\n'
        '[control]\nsocket = ""\n[measure]\ncontrol_name = "good.example"\n'
    )
    return str(path)


def measure(config: str, *words: str) -> int:
    return main(["measure", *words, "--config", config])


def test_a_finding_at_a_glance(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure(config, "dns-injection", "good.example") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("✓ clean  good.example")
    assert "So it is." in captured.out
    assert captured.err == "… asking for good.example\n"


def test_json_is_a_finding_and_nothing_else(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure(config, "dns_injection", "banned.example", "--json", "--quiet") == 0
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    finding = msgspec.json.decode(line, type=Finding)
    assert (finding.verdict, finding.probe.id) == ("interfered", "p-test")
    assert finding.signature is not None
    assert captured.err == ""


@pytest.mark.parametrize(("target", "status"), [("banned.example", INTERFERED), ("good.example", 0)])
def test_the_verdict_as_an_exit_status(config: str, target: str, status: int) -> None:
    assert measure(config, "dns-injection", target, "--exit-verdict") == status


def test_options_reach_the_measurement_as_they_were_given(config: str) -> None:
    words = ["tcp-reset", "banned.example", "--address", "192.0.2.1", "--trials", "5", "--locate"]
    assert measure(config, *words, "--interface", "eth9") == 0
    ((used, kind, options),) = ASKED
    assert kind == "tcp_reset"
    assert options == {"target": "banned.example", "address": "192.0.2.1", "trials": "5", "locate": True}
    assert used.probe.interface == "eth9"
    assert used.measure.control_name == "good.example"


def test_several_targets_may_stand_between_options(config: str) -> None:
    words = ["192.0.2.1", "--ports", "80", "192.0.2.2", "a.example", "--targets", "192.0.2.3", "--config", config]
    assert main(["measure", "blackhole", *words]) == 0
    asked = ASKED[-1][2]
    assert (asked["target"], asked["targets"]) == ("192.0.2.1", "192.0.2.2,a.example,192.0.2.3")
    assert main(["measure", "blackhole", "192.0.2.1", "--config", config]) == 0
    assert "targets" not in ASKED[-1][2]


def test_repeat_measures_again_and_keeps_each_evidence(config: str, tmp_path: Path) -> None:
    pcap = tmp_path / "e.pcapng"
    assert measure(config, "dns-injection", "good.example", "--repeat", "3", "--pcap", str(pcap), "--json") == 0
    assert len(ASKED) == 3
    assert [path.read_bytes() for path in (pcap, tmp_path / "e.pcapng.2", tmp_path / "e.pcapng.3")] == [
        b"packets of run 1", b"packets of run 2", b"packets of run 3",
    ]  # fmt: skip


def test_common_options_may_stand_before_the_kind(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "--json", "--quiet", "--config", config, "dns-injection", "good.example"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "clean"


def test_what_could_not_be_measured_is_one_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure(config, "dns-injection", "far.example", "--quiet") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "plug it in" in captured.err


@pytest.mark.parametrize(
    "words",
    [
        ["nothing", "x"],
        ["dns-injection"],
        ["dns-injection", "x", "--typo", "1"],
        ["dns-injection", "x", "--repeat", "0"],
        ["dns-injection", "x", "--repeat", "many"],
        ["dns-injection", "x", "--config", "missing.toml"],
    ],
)
def test_wrong_words_are_one_line_and_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status: object = main(["measure", *words])
    except SystemExit as ended:  # argparse's way
        status = ended.code
    assert status == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert ASKED == []


@pytest.mark.parametrize("kind", measurements.names())
def test_each_kind_has_the_options_of_its_type(kind: str) -> None:
    parser = kind_parser(kind)
    text = parser.format_help()
    for field in msgspec.structs.fields(measurements.load(kind).options)[1:]:
        assert f"--{field.name.replace('_', '-')}" in text
    given = vars(parser.parse_args(["x"]))
    for field in msgspec.structs.fields(measurements.load(kind).options)[1:]:
        assert given[field.name] is None  # left to the configuration


def test_no_such_kind() -> None:
    with pytest.raises(UsageError, match="no measurement is called"):
        kind_parser("nothing")


def test_the_daemon_is_asked_first_unless_a_file_is_named(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    async def through_daemon(
        _config: Config, kind: str, options: Mapping[str, Any], progress: Callable[[str], None]
    ) -> tuple[Finding, bytes]:
        asked.append((kind, dict(options)))
        outcome = await FakeEngine(Config()).run(kind, options, progress)
        finding = assemble(outcome, probe=Probe("p-daemon", "colibri"), line=Line(), group="", entropy=bytes)
        return finding, b""

    monkeypatch.setattr(adhoc, "through_daemon", through_daemon)
    assert main(["measure", "dns-injection", "good.example", "--json"]) == 0
    assert asked == [("dns_injection", {"target": "good.example"})]
    assert json.loads(capsys.readouterr().out)["probe"]["id"] == "p-daemon"
    assert measure(config, "dns-injection", "good.example", "--json") == 0
    assert len(asked) == 1
