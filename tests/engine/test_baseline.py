"""The line's memory: what is learnt, kept and forgotten."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.baseline import FILE, BaselineFile, learn, lessons
from probe.engine.record import unseal
from probe.engine.replay import replay
from probe.engine.run import run_once
from probe.lab.lab import Lab
from probe.model.baseline import Baseline, Usual
from probe.model.config import ProbeConfig
from probe.model.exchange import EchoStep, Exchange, Failure, Heard, PauseStep, Step, SynStep, TcpStep, UdpStep
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp

FAR, NOW = "203.0.113.10", 1_800_000_000
SYN, ACK, RST = Flags.SYN, Flags.ACK, Flags.RST


def tcp(at: float, flags: int, *, outgoing: bool, ttl: int = 56, ident: int = 0) -> Heard:
    ends = ("0.0.0.0", FAR) if outgoing else (FAR, "0.0.0.0")
    ports = (61440, 80) if outgoing else (80, 61440)
    header = Tcp(*ports, 1, 1, int(flags), 512)
    return Heard(at, outgoing, Packet(4, *ends, 64 if outgoing else ttl, 6, 40, ident=ident, header=header))


def handshake(*heard: Heard, failure: Failure = "") -> Exchange:
    return Exchange(step=TcpStep(address=FAR, port=80, payload=b"x"), heard=heard, sent_at=0.1, failure=failure)


def answered(step: Step, after: float, *, source: str = FAR, ident: int = 7) -> Exchange:
    header = Udp(53, 61440, 20) if isinstance(step, UdpStep) else Icmp(0, 0, rest=1)
    packet = Packet(4, source, "0.0.0.0", 55, 17, 40, ident=ident, header=header)
    return Exchange(step=step, heard=(Heard(1.0 + after, False, packet),), sent_at=1.0)


def test_handshakes_teach_and_what_follows_them_does_not() -> None:
    reset = tcp(0.03, RST, outgoing=False, ttl=62)
    good = handshake(tcp(0.0, SYN, outgoing=True), tcp(0.02, SYN | ACK, outgoing=False), reset)
    assert lessons([good]) == [(FAR, 0.02, 56, True)]
    lost = handshake(tcp(0.0, SYN, outgoing=True), failure="timeout")
    assert lessons([lost, good])[0] == (FAR, None, 0, False)
    assert lessons([lost]) == []  # a port that never answers teaches nothing
    assert lessons([handshake(tcp(0.0, SYN, outgoing=True), failure="refused")]) == []


def test_of_a_repeated_syn_nobody_knows_which_was_answered() -> None:
    twice = (tcp(0.0, SYN, outgoing=True), tcp(1.0, SYN, outgoing=True), tcp(1.02, SYN | ACK, outgoing=False))
    assert lessons([handshake(*twice)]) == []


@pytest.mark.parametrize(
    "step", [UdpStep(address=FAR, port=53, payload=b"x"), EchoStep(address=FAR), SynStep(address=FAR, port=80)]
)
def test_single_packets_at_full_ttl_teach(step: Step) -> None:
    ((address, round_trip, ttl, zero),) = lessons([answered(step, 0.02)])
    assert (address, ttl, zero) == (FAR, 55, False)
    assert round_trip == pytest.approx(0.02)
    for lost in (Exchange(step=step, sent_at=1.0), answered(step, 0.02, source="198.18.0.3")):
        assert lessons([answered(step, 0.02), lost])[1] == (FAR, None, 0, False)
        assert lessons([lost]) == []


@pytest.mark.parametrize("step", [EchoStep(address=FAR, ttl=5), PauseStep(seconds=1)])
def test_sweeps_and_pauses_teach_nothing(step: Step) -> None:
    assert lessons([Exchange(step=step, sent_at=1.0)]) == []


def test_the_usual_follows_rfc_6298() -> None:
    usual = learn(Usual(), (FAR, 0.1, 56, True), NOW)
    assert (usual.least, usual.typical, usual.deviation) == (0.1, 0.1, 0.05)
    usual = learn(usual, (FAR, 0.2, 54, False), NOW + 1)
    assert usual.typical == pytest.approx(0.1 + 0.1 / 8)
    assert usual.deviation == pytest.approx(0.05 + (0.1 - 0.05) / 4)
    assert (usual.ttls, usual.zero_idents, usual.least, usual.at) == ({56: 1, 54: 1}, 1, 0.1, NOW + 1)
    lost = learn(usual, (FAR, None, 0, False), NOW + 2)
    assert (lost.asked, lost.answered, lost.typical) == (3, 2, usual.typical)


def test_what_is_new_can_always_weigh() -> None:
    usual = Usual()
    for _ in range(1500):
        usual = learn(usual, (FAR, 0.01, 56, True), NOW)
    for _ in range(600):
        usual = learn(usual, (FAR, 0.2, 50, True), NOW)
    assert usual.answered < 1000
    assert 50 in usual.usual_ttls
    assert usual.least > 0.01


def test_it_is_kept_and_old_things_are_forgotten(tmp_path: Path) -> None:
    file = BaselineFile(tmp_path / FILE)
    assert file.load(NOW) == Baseline()
    file.add([answered(EchoStep(address=FAR), 0.02)], NOW)
    assert file.load(NOW).of(FAR).answered == 1
    assert file.load(NOW + 31 * 86400) == Baseline()
    assert file.load(NOW - 1) == Baseline()  # a clock that was wrong
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_it_is_bounded_and_the_latest_stay(tmp_path: Path) -> None:
    file = BaselineFile(tmp_path / FILE)
    addresses = [f"198.51.{n // 200}.{n % 200}" for n in range(700)]
    file.add([answered(EchoStep(address=a), 0.01, source=a) for a in addresses], NOW)
    kept = file.load(NOW).hosts
    assert list(kept) == addresses[-512:]
    ttls = [answered(EchoStep(address=FAR), 0.01) for _ in range(3)]
    file.add(ttls, NOW)
    assert len(file.load(NOW).hosts) == 512


@given(st.binary(max_size=200))
def test_what_can_t_be_read_is_nothing_known(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("damaged") / FILE
    path.write_bytes(data)
    assert FAR not in BaselineFile(path).load(NOW).hosts
    BaselineFile(path).add([answered(EchoStep(address=FAR), 0.02)], NOW)
    assert BaselineFile(path).load(NOW).of(FAR).answered == 1


def test_where_nothing_can_be_kept_nothing_is(tmp_path: Path) -> None:
    file = BaselineFile(tmp_path / "none" / FILE)
    file.add([answered(EchoStep(address=FAR), 0.02)], NOW)
    assert list(tmp_path.iterdir()) == []


def _add_many(path: Path) -> None:
    for _ in range(20):
        BaselineFile(path).add([answered(EchoStep(address=FAR), 0.02)], NOW)


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_add_many, args=(path,)) for _ in range(3)]
    for one in others:
        one.start()
    for one in others:
        one.join()
    assert BaselineFile(path).load(NOW).of(FAR).answered == 60


@pytest.mark.lab
def test_a_clean_run_teaches_the_next_and_its_evidence_holds_what_was_known(tmp_path: Path) -> None:
    with Lab.chain(hops=4) as lab:
        config = msgspec.structs.replace(lab.config("chain"), probe=ProbeConfig(state_dir=str(tmp_path)))
        given = {"target": FAR, "siblings": ["203.0.113.11"], "control_address": "203.0.113.11"}
        with lab.enter("chain"):
            first, second = (run_once(config, "blackhole", given) for _ in range(2))
    assert (first.judgement.verdict, second.judgement.verdict) == ("clean", "clean")
    assert unseal(first.pcapng)[1].baseline == {}
    known = unseal(second.pcapng)[1].baseline[FAR]
    assert known.answered == known.asked >= 6
    assert known.usual_ttls == [60]
    assert 0 < known.least <= known.typical
    assert replay(second.pcapng).agrees
