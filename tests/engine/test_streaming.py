"""Streams with real packets: pace, echoes, twins, what they cost and when they are given up."""

from __future__ import annotations

import gzip
import itertools
import time
from random import Random
from statistics import median

import msgspec
import pytest

from probe.engine import streaming
from probe.engine.bench import Bench
from probe.engine.observe import observe
from probe.engine.record import seal, unseal
from probe.lab.lab import Lab
from probe.model.errors import BudgetExhausted, MalformedPacket
from probe.model.exchange import Step, StreamStep, UdpStep
from probe.model.outcome import ExchangeLog
from probe.model.packet import Udp
from probe.wire import passages
from probe.wire.counters import datagram, inverted, number_of
from tests.engine.conftest import Eye, Line
from tests.engine.farend import udp_server

pytestmark = pytest.mark.lab

SERVER, SERVER6, SILENT = "203.0.113.10", "2001:db8:a0::10", "203.0.113.12"
BOTH = pytest.mark.parametrize("server", [SERVER, SERVER6], ids=["IPv4", "IPv6"])
SOUND = Random(1).randbytes(160)


def call(address: str = SERVER, **what: object) -> StreamStep:
    """RTP: G.711, 50 packets a second."""
    given: dict[str, object] = {
        "port": 40000, "payload": bytes.fromhex("8000 0001 00000000 0badcafe") + SOUND, "count": 50,
        "counters": ((2, 2, 1), (4, 4, 160)), "flow": "call", "wait": 0.3,
    }  # fmt: skip
    return StreamStep(address=address, **(given | what))  # type: ignore[arg-type]


@BOTH
@pytest.mark.parametrize("flipped", [False, True])
def test_all_of_it_arrives_in_order_and_at_its_pace(line: Line, chain: Lab, server: str, flipped: bool) -> None:
    step = call(server, inverted=flipped)
    with udp_server(chain, 40000, address=server) as came:
        ((exchange,),) = line.perform([step])
    assert exchange.failure == ""
    assert came == [datagram(step, number) for number in range(50)]
    found = passages.of(exchange)
    sent = [one.at for one in found.sent]
    assert len(sent) == 50
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert median(gaps) == pytest.approx(0.02, abs=0.004)
    assert sent[-1] - sent[0] == pytest.approx(0.98, abs=0.25)
    assert [one.number for one in found.back] == list(range(50))
    kept = [number_of(step, one.packet.payload) for one in exchange.answers]
    assert kept == [49]
    assert len(line.performer.intake.records) == len(exchange.heard) == 2


def test_a_machine_that_can_not_keep_the_pace_leaves_out_the_rest(
    line: Line, chain: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = streaming._send

    def slow(bench: Bench, step: StreamStep, number: int) -> None:
        time.sleep(0.03)
        send(bench, step, number)

    monkeypatch.setattr(streaming, "_send", slow)
    with udp_server(chain, 40000):
        ((exchange,),) = line.perform([call(count=100, interval=0.01)])
    found = passages.of(exchange)
    assert 0 < len(found.sent) < 100
    assert [one.number for one in found.sent] == list(range(len(found.sent)))
    assert len(found.back) == len(found.sent)


def test_other_steps_do_not_make_it_falter(line: Line, chain: Lab) -> None:
    safety = msgspec.structs.replace(
        chain.config("chain").safety, packets_per_second=200, target_packets_per_second=200
    )
    others: list[Step] = [
        UdpStep(address=SERVER, port=9, payload=b"%d" % n, flow=str(n % 8), wait=0.01) for n in range(200)
    ]
    with udp_server(chain, 40000):
        (exchanges,) = line.perform([call(), *others], safety=safety)
    sent = [one.at for one in passages.of(exchanges[0]).sent]
    assert len(sent) == 50
    assert sent[-1] - sent[0] == pytest.approx(0.98, abs=0.25)
    times = sorted(entry.began / 1e9 for entry in line.records[1:])
    whole = sorted([*times, *(line.records[0].began / 1e9 + at for at in sent)])
    assert max(sum(start <= at < start + 1 for at in whole) for start in whole) <= 210  # a late wake-up or two


def test_a_stream_that_nobody_answers_is_given_up_and_costs_what_was_sent(line: Line) -> None:
    begun = time.monotonic()
    ((exchange,),) = line.perform([call(SILENT, count=500, give_up=0.3, wait=5.0)])
    assert time.monotonic() - begun < 4
    sent = len(passages.of(exchange).sent)
    assert 10 <= sent <= 40
    assert line.performer._bench.pace._budget.used == sent * (60 + 172)


def test_icmp_errors_about_it_are_heard_and_stop_nothing(line: Line) -> None:
    ((exchange,),) = line.perform([call(port=9, ttl=2, count=20)])
    assert len(passages.of(exchange).sent) == 20
    assert exchange.errors
    assert {one.packet.source for one in exchange.errors} == {"198.18.1.2"}


def test_datagrams_of_its_flow_share_its_port(line: Line, chain: Lab) -> None:
    with udp_server(chain, 40000):
        line.perform([call(count=2)], [UdpStep(address=SERVER, port=40000, payload=b"x", flow="call", wait=0.3)])
    assert line.records[0].port == line.records[1].port


def test_a_line_whose_budget_is_too_small_says_so(line: Line, chain: Lab, eye: Eye) -> None:
    safety = msgspec.structs.replace(chain.config("chain").safety, packets_per_second=50)
    ((exchange,),) = line.perform([call()], safety=safety)
    assert exchange.failure == "error"
    assert "50 packets a second" in exchange.note
    with pytest.raises(BudgetExhausted):
        line.perform([call()], safety=msgspec.structs.replace(safety, packets_per_second=500, bytes_per_day=10_000))
    with pytest.raises(MalformedPacket):
        line.perform([call(counters=((171, 2, 1),))])
    assert [packet for outgoing, packet in eye.packets() if outgoing and isinstance(packet.header, Udp)] == []


def test_what_comes_back_late_or_altered_is_heard_too(line: Line, chain: Lab) -> None:
    with udp_server(chain, 40000, inverted):
        ((exchange,),) = line.perform([call(count=5)])
    assert [number_of(call(), one.packet.payload) for one in exchange.answers] == [None] * 5


@pytest.mark.long
def test_ten_seconds_of_a_call_fit_into_the_evidence(line: Line, chain: Lab) -> None:
    with udp_server(chain, 40000):
        line.perform([call(count=500)])
    log = ExchangeLog(software="", measurement="x", version="1", options={}, seed=1, batches=[line.records],
                      verdict="clean", technique="", rule="")  # fmt: skip
    evidence, pcapng = seal(line.performer.intake.records, log)
    assert evidence.packets == 2
    assert len(gzip.compress(pcapng)) <= 8 * 1024
    assert len(passages.of(observe(unseal(pcapng)[1].batches[0][0], [])).back) >= 490
