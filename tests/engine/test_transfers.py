"""Bulk transfers with real packets: what is counted, what is kept, what it costs, how they end."""

from __future__ import annotations

import socket
import time

import msgspec
import pytest

from probe.engine.record import seal, unseal
from probe.lab.lab import Lab
from probe.model.errors import BudgetExhausted
from probe.model.exchange import Exchange, TransferStep
from probe.model.outcome import ExchangeLog
from probe.model.packet import Tcp
from tests.engine.conftest import Line
from tests.engine.farend import tcp_server

pytestmark = pytest.mark.lab

SERVER, SERVER6, SILENT = "203.0.113.10", "2001:db8:a0::10", "203.0.113.12"
BOTH = pytest.mark.parametrize("server", [SERVER, SERVER6], ids=["IPv4", "IPv6"])
PORT = 8002


def pour(connection: socket.socket) -> None:
    """As much as is taken."""
    connection.recv(100)
    while True:
        connection.sendall(bytes(10_000))


def drip(connection: socket.socket) -> None:
    """10 kB, 50 times a second: about 4 Mbit/s."""
    connection.recv(100)
    while True:
        connection.sendall(bytes(10_000))
        time.sleep(0.02)


def drink(connection: socket.socket) -> None:
    """Takes all, says nothing."""
    while connection.recv(65536):
        pass


def transfer(address: str = SERVER, **what: object) -> TransferStep:
    return TransferStep(address=address, port=PORT, payload=b"please", **what)  # type: ignore[arg-type]



def columns(exchange: Exchange) -> list[tuple[float, int, int]]:
    return [(sample.at, sample.acknowledged, sample.received) for sample in exchange.samples]


@BOTH
def test_a_download_ends_at_its_limit(line: Line, chain: Lab, server: str) -> None:
    with tcp_server(chain, PORT, pour):
        ((exchange,),) = line.perform([transfer(server, limit=600_000)])
    seen = columns(exchange)
    assert exchange.failure == ""
    assert seen[-1][2] == 600_000
    assert seen[-1][1] == len(b"please")
    assert all(list(one) == sorted(one) for one in zip(*seen, strict=True))
    kept = line.performer.intake.records
    assert len(kept) <= 3 + 10 + 4 + 16  # handshake, the first, the last, and what came after the end
    large = [record for record in kept if record.packet.length > 1000]
    assert large  # cut, and said to be so
    assert all(len(record.data) <= 100 for record in large)
    assert exchange.synack is not None
    assert exchange.sent_at is not None


@BOTH
def test_an_upload_ends_when_all_is_acknowledged(line: Line, chain: Lab, server: str) -> None:
    with tcp_server(chain, PORT, drink):
        ((exchange,),) = line.perform([transfer(server, upload=400_000)])
    seen = columns(exchange)
    assert seen[-1][1] == 400_000 + len(b"please")
    assert all(list(one) == sorted(one) for one in zip(*seen, strict=True))


def test_it_ends_in_time_and_tells_its_rate(line: Line, chain: Lab) -> None:
    with tcp_server(chain, PORT, drip):
        ((exchange,),) = line.perform([transfer(seconds=1.0, limit=10_000_000, every=0.05)])
    seen = columns(exchange)
    assert 15 <= len(seen) <= 22
    assert seen[-1][0] == pytest.approx(1.0, abs=0.3)
    late = sorted(at - 0.05 * (n + 1) for n, (at, _, _) in enumerate(seen[:-1]))
    assert late[0] >= -0.01
    assert late[len(late) // 2] <= 0.04  # a late wake-up or two delay nothing that follows
    middle = seen[len(seen) // 2]
    assert 150_000 <= (seen[-1][2] - middle[2]) / (seen[-1][0] - middle[0]) <= 600_000


def test_the_budget_slows_it_down_and_counts_what_comes(line: Line, chain: Lab) -> None:
    safety = msgspec.structs.replace(
        chain.config("chain").safety, packets_per_second=100, target_packets_per_second=100
    )
    with tcp_server(chain, PORT, pour):
        ((exchange,),) = line.perform([transfer(seconds=2.0, limit=10_000_000)], safety=safety)
    received = columns(exchange)[-1][2]
    assert 50_000 < received <= 2.4 * 100 * 2 * 1448  # an acknowledgement for each two segments
    assert line.performer._bench.pace._budget.used >= received
    with tcp_server(chain, PORT, drink):
        ((exchange,),) = line.perform([transfer(seconds=2.0, upload=10_000_000)], safety=safety)
    assert 50_000 < columns(exchange)[-1][1] <= 2.4 * 100 * 1448


def test_the_days_end_is_told(line: Line, chain: Lab) -> None:
    safety = msgspec.structs.replace(chain.config("chain").safety, bytes_per_day=50_000)
    with tcp_server(chain, PORT, pour), pytest.raises(BudgetExhausted):
        line.perform([transfer()], safety=safety)


def test_a_stream_that_ends_and_one_that_breaks(line: Line, chain: Lab) -> None:
    def short(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"that is all")

    with tcp_server(chain, PORT, short):
        ((exchange,),) = line.perform([transfer()])
    assert columns(exchange)[-1][2] == len(b"that is all")
    assert columns(exchange)[-1][0] < 2
    ((refused,), (silent,)) = line.perform([transfer()], [transfer(SILENT, connect_wait=0.3)])
    assert (refused.failure, silent.failure) == ("refused", "timeout")
    assert refused.samples == silent.samples == ()


def test_the_log_keeps_the_samples(line: Line, chain: Lab) -> None:
    with tcp_server(chain, PORT, drip):
        ((exchange,),) = line.perform([transfer(seconds=0.5)])
    log = ExchangeLog(software="", measurement="x", version="1", options={}, seed=1, batches=[line.records],
                      verdict="clean", technique="", rule="")  # fmt: skip
    _, pcapng = seal(line.performer.intake.records, log)
    assert unseal(pcapng)[1].batches[0][0].samples == exchange.samples


@BOTH
def test_a_decoy_dies_on_the_way_and_the_far_end_never_sees_it(line: Line, chain: Lab, server: str) -> None:
    came: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        came.append(connection.recv(100))
        connection.sendall(b"done")

    with tcp_server(chain, PORT, listen):
        ((exchange,),) = line.perform([transfer(server, decoy=b"forbidden", decoy_ttl=3)])
    assert came == [b"please"]
    sent = [one.packet for one in exchange.heard if one.outgoing and one.packet.payload]
    assert [packet.payload for packet in sent[:3]] == [b"forbidden", b"forbidden", b"please"]
    assert [packet.ttl for packet in sent[:3]] == [3, 3, 64]
    assert len({packet.header.sequence for packet in sent[:3] if isinstance(packet.header, Tcp)}) == 1
    assert {one.packet.source for one in exchange.errors} == {"198.18.1.3" if server == SERVER else "2001:db8:1::3"}
    payload = next(one for one in exchange.heard if one.packet.payload == b"please")
    assert exchange.sent_at == payload.at
