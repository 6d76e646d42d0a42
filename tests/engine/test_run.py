"""Whole runs on lab lines: what they leave behind, what they never tell of a home, and what they cost."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.engine import run as module
from probe.engine.clock import Timeline
from probe.engine.counter import COUNT, DayCount
from probe.engine.intake import Intake
from probe.engine.interfaces import own_addresses
from probe.engine.record import unseal
from probe.engine.run import EngineRunner, run_once
from probe.lab.lab import Lab
from probe.measurements import Context, Measurement, Steps
from probe.model.config import Config
from probe.model.errors import BudgetExhausted, ForbiddenDestination, UsageError
from probe.model.exchange import EchoStep, PauseStep, Step, TcpStep, UdpStep
from probe.model.finding import Judgement, Target
from probe.model.outcome import Outcome
from probe.wire import dns, ip

pytestmark = pytest.mark.lab

SERVER, RESOLVER = "203.0.113.10", "203.0.113.153"
RESET = ("tcp_reset", {"target": "http://press.example/", "address": SERVER})
INJECTION = ("dns_injection", {"target": "press.example"})


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up("demo") as up:
        yield up


@pytest.fixture(scope="module")
def outcomes(lab: Lab) -> list[Outcome]:
    """An injected line, a reset one and a honest one."""
    found = []
    for operator, (measurement, options) in (("sale", INJECTION), ("sale", RESET), ("atlas", RESET)):
        with lab.enter(operator):
            found.append(run_once(lab.config(operator), measurement, options))
    return found


class Options(msgspec.Struct, frozen=True):
    """Of the measurements that these tests make up."""

    target: str
    control_address: str = ""
    operator_networks: list[str] = []


def made_up(monkeypatch: pytest.MonkeyPatch, *batches: list[Step]) -> None:
    """``load`` gives a measurement that asks for these batches and finds nothing."""

    def measure(options: Options, context: Context) -> Steps:
        for batch in batches:  # noqa: UP028 - exchanges are sent in, which a tuple does not take
            yield batch
        details: dict[str, Any] = {"drawn": context.random.random(), "control_address": options.control_address}
        details["operator_networks"] = options.operator_networks
        return Judgement(verdict="clean", rule="made_up/x", target=Target(options.target), details=details)

    kind = Measurement("made_up", "7", Options, measure, "Made up.")
    monkeypatch.setattr(module, "load", lambda _name: kind)


def test_an_outcome_is_whole(outcomes: list[Outcome]) -> None:
    now = time.time()
    for outcome in outcomes:
        assert outcome.version
        assert now - 120 < outcome.started < now
        assert 0 < outcome.duration < 60
        records, log = unseal(outcome.pcapng)
        assert outcome.evidence.packets == len(records) > 10
        assert outcome.evidence.exchanges == sum(len(batch) for batch in log.batches) > 3
        assert outcome.evidence.pcapng_sha256 == hashlib.sha256(outcome.pcapng).hexdigest()
        assert (log.measurement, log.verdict, log.rule) == (
            outcome.measurement, outcome.judgement.verdict, outcome.judgement.rule,
        )  # fmt: skip
        assert log.options["target"]
        assert not any(key.startswith("capture_") for key in outcome.judgement.details)
    techniques = [o.judgement.interference.technique if o.judgement.interference else "" for o in outcomes]
    assert techniques == ["dns_injection", "tcp_reset", ""]


def test_evidence_holds_own_flows_only(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        records, log = unseal(outcome.pcapng)
        entries = [entry for batch in log.batches for entry in batch]
        far = {entry.step.address for entry in entries if not isinstance(entry.step, PauseStep)}
        flows = {entry.port for entry in entries}
        for record in records:
            header = record.packet.header
            quoted = getattr(header, "quoted", None)
            if quoted is not None:
                assert quoted.destination in far
                continue
            assert (record.packet.destination if record.outgoing else record.packet.source) in far
            assert {getattr(header, "source_port", 0), getattr(header, "destination_port", 0)} & flows


def test_nothing_tells_which_home_it_was(lab: Lab, outcomes: list[Outcome]) -> None:
    with lab.enter("sale"):
        own = own_addresses()
    router = ["192.168.1.1", "198.18.30.100", "2001:db8:30::100", "2001:db8:30:1::1"]
    secret = [*own.addresses, *router]
    assert {"192.168.1.2", "2001:db8:30:1::2"} <= set(secret)
    for outcome in outcomes[:2]:
        records, log = unseal(outcome.pcapng)
        packets = b"\n".join(record.data for record in records)
        texts = msgspec.json.encode([log, outcome.judgement, outcome.evidence]).decode()
        texts += " ".join(f"{record.packet}" for record in records)
        for address in secret:
            assert ip.address_bytes(address) not in packets
            assert ip.address_bytes(address) not in outcome.pcapng
            assert not re.search(rf"(?<![\d.:a-f]){re.escape(address)}(?![\d.:a-f])", texts), address
            assert address.encode() not in packets
        # An identifier of a query may be 0xc0a8, and the flags behind it are 0x0100: that is no host.
        assert re.search(rb"\xc0\xa8\x01[\x01-\xff]", packets) is None


def test_an_ipv6_run_tells_nothing_either(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    server = "2001:db8:a0::10"
    made_up(monkeypatch, [
        UdpStep(address=server, port=53, payload=dns.query("press.example", 1), ttl=2, wait=0.5),
        TcpStep(address=server, port=80, payload=b"GET / HTTP/1.0\r\n\r\n", path=(2, 3)),
        EchoStep(address=server, ttl=3),
    ])  # fmt: skip
    with lab.enter("sale"):
        own = own_addresses()
        outcome = run_once(lab.config("sale"), "made_up", {"target": "x"})
    assert outcome.evidence.packets > 8
    for address in own.addresses:
        assert ip.address_bytes(address) not in outcome.pcapng


def test_what_is_not_given_comes_from_the_configuration(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch)
    with lab.enter("sale"):
        outcome = run_once(lab.config("sale"), "made_up", {"target": "x"})
        other = run_once(lab.config("sale"), "made_up", {"target": "x", "control_address": "192.0.2.9"})
    assert outcome.judgement.details["control_address"] == "203.0.113.180"
    assert other.judgement.details["control_address"] == "192.0.2.9"
    assert outcome.judgement.details["drawn"] != other.judgement.details["drawn"]
    assert outcome.evidence == msgspec.structs.replace(other.evidence, pcapng_sha256=outcome.evidence.pcapng_sha256)


def test_a_measurement_is_told_the_networks_of_the_lines_operator(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch)
    config = lab.config("sale")
    nowhere = msgspec.structs.replace(config, measure=msgspec.structs.replace(config.measure, prefixes="/nowhere"))
    said: list[str] = []
    with lab.enter("sale"):
        told = run_once(config, "made_up", {"target": "x"})
        given = run_once(config, "made_up", {"target": "x", "operator_networks": "192.0.2.0/24"})
        unknown = run_once(nowhere, "made_up", {"target": "x"}, said.append)
    assert told.judgement.details["operator_networks"] == ["198.18.30.0/24", "2001:db8:30::/48"]
    assert given.judgement.details["operator_networks"] == ["192.0.2.0/24"]
    assert unknown.judgement.details["operator_networks"] == []
    assert "/nowhere" in said[0]


def test_a_measurement_that_does_not_exist_or_is_misused() -> None:
    for name, options in (("no_such", {}), ("tcp_reset", {"no_such": 1}), ("tcp_reset", {})):
        with pytest.raises(UsageError):
            run_once(Config(), name, options)


def test_a_run_that_is_forbidden_ends_its_measurement(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    def measure(_options: Options, _context: Context) -> Steps:
        try:
            yield [EchoStep(address="192.168.1.1")]
        finally:
            ended.append(True)
        raise AssertionError("performed")

    kind = Measurement("made_up", "7", Options, measure, "Made up.")
    monkeypatch.setattr(module, "load", lambda _name: kind)
    with lab.enter("sale"), pytest.raises(ForbiddenDestination):
        run_once(lab.config("sale"), "made_up", {"target": "x"})
    assert ended == [True]


def test_one_budget_for_all_runs_and_it_is_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made_up(monkeypatch, [UdpStep(address=SERVER, port=9, payload=b"x" * 400, wait=0.05)])
    today = time.strftime("%Y-%m-%d", time.gmtime())
    config = lab.config("sale")
    config = msgspec.structs.replace(
        config, safety=msgspec.structs.replace(config.safety, bytes_per_day=1000),
        probe=msgspec.structs.replace(config.probe, state_dir=str(tmp_path)),
    )  # fmt: skip
    DayCount(tmp_path / COUNT).save(today, 100)

    async def run() -> None:
        runner = EngineRunner(config)
        await runner.run("made_up", {"target": "x"})
        with pytest.raises(BudgetExhausted):
            await runner.run("made_up", {"target": "x"})

    with lab.enter("sale"):
        asyncio.run(run())
    assert DayCount(tmp_path / COUNT).load() == (today, 560)


def test_what_others_send_meanwhile_counts_too(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made_up(monkeypatch, [UdpStep(address=SERVER, port=9, payload=b"x" * 400, wait=0.05)])
    config = lab.config("sale")
    config = msgspec.structs.replace(
        config, safety=msgspec.structs.replace(config.safety, bytes_per_day=1000),
        probe=msgspec.structs.replace(config.probe, state_dir=str(tmp_path)),
    )  # fmt: skip

    async def run() -> None:
        daemon, beside = EngineRunner(config), EngineRunner(config)
        await beside.run("made_up", {"target": "x"})
        await daemon.run("made_up", {"target": "x"})
        for runner in (daemon, beside):
            with pytest.raises(BudgetExhausted):
                await runner.run("made_up", {"target": "x"})

    with lab.enter("sale"):
        asyncio.run(run())


def test_runs_side_by_side_do_not_hear_each_other(lab: Lab) -> None:
    async def run() -> list[Outcome]:
        runner = EngineRunner(lab.config("sale"))
        return await asyncio.gather(*(runner.run(*INJECTION) for _ in range(3)), runner.run(*RESET))

    with lab.enter("sale"):
        outcomes = asyncio.run(run())
    assert [outcome.judgement.verdict for outcome in outcomes] == ["interfered"] * 4
    for outcome in outcomes:
        records, log = unseal(outcome.pcapng)
        ports = {entry.port for batch in log.batches for entry in batch}
        sent = {getattr(record.packet.header, "source_port", None) for record in records if record.outgoing}
        assert sent - {None} <= ports


def test_a_clock_that_is_set_changes_nothing_but_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may set the system's clock: what the time line reads of it is changed, stamps included."""
    step = UdpStep(address=RESOLVER, port=53, payload=dns.query("control.example", 5), match=(0, 2))
    jump = [0]

    def wall() -> int:
        return time.time_ns() + jump[0]

    class Jumping(Timeline):
        def __init__(self) -> None:
            super().__init__(wall)

        def place(self, stamp: int) -> int:
            return super().place(stamp + jump[0])

    def measure(options: Options, _context: Context) -> Steps:
        before = yield [step]
        jump[0] = -3600 * 10**9
        after = yield [step]
        answers = [len(exchange.answers) for exchange in (*before, *after)]
        return Judgement(verdict="clean", rule="made_up/x", target=Target(options.target), details={"answers": answers})

    kind = Measurement("made_up", "7", Options, measure, "Made up.")
    monkeypatch.setattr(module, "load", lambda _name: kind)
    monkeypatch.setattr(module, "Timeline", Jumping)
    monkeypatch.setattr(module, "synchronised", lambda: True)
    with lab.enter("atlas"):
        outcome = run_once(lab.config("atlas"), "made_up", {"target": "x"})
    assert outcome.judgement.details["answers"] == [1, 1]
    assert outcome.clock == "unsynchronised"
    assert 0 < outcome.duration < 30


def test_a_steady_clock_is_told_as_it_is(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch)
    for state, word in ((True, "synchronised"), (False, "unsynchronised")):
        monkeypatch.setattr(module, "synchronised", lambda state=state: state)
        with lab.enter("sale"):
            assert run_once(lab.config("sale"), "made_up", {"target": "x"}).clock == word


def test_what_the_capture_lost_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, [EchoStep(address=SERVER, wait=0.1)])
    monkeypatch.setattr(Intake, "dropped", lambda _self: 3)
    with lab.enter("sale"):
        outcome = run_once(lab.config("sale"), "made_up", {"target": "x"})
    assert outcome.judgement.details["capture_dropped"] == 3
    assert "capture_malformed" not in outcome.judgement.details
