"""Evidence files: whole, the same for the same, readable by others' tools, refused with a clear word when damaged."""

from __future__ import annotations

import base64
import hashlib
import random
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.observe import Record
from probe.engine.record import is_evidence, is_step_of, seal, unseal
from probe.model.errors import MalformedRecord
from probe.model.exchange import EchoStep, PauseStep, TcpStep, UdpStep
from probe.model.outcome import Entry, ExchangeLog
from probe.model.packet import Packet, Udp
from probe.wire import dns, ip, pcapng


def record(ns: int, outgoing: bool, payload: bytes = b"") -> Record:
    payload = payload or dns.query("press.example", ns & 0xFFFF)
    source, destination = ("0.0.0.0", "203.0.113.10") if outgoing else ("203.0.113.10", "0.0.0.0")
    ports = (62000, 53) if outgoing else (53, 62000)
    data = ip.encode(Packet(4, source, destination, 64, 17, 0, ns & 0xFFFF, header=Udp(*ports, 0), payload=payload))
    return Record(ns, outgoing, data, ip.decode(data))


BATCH = [
    Entry(step=UdpStep(address="203.0.113.10", port=53, payload=b"\0\xff", match=(0, 2)), port=62000, began=1, ended=9),
    Entry(step=TcpStep(address="2001:db8::1", port=80, path=(1, 2)), port=1, failure="refused", note="x"),
    Entry(step=EchoStep(address="203.0.113.10", ttl=3)),
    Entry(step=PauseStep(seconds=0.5)),
]
LOG = ExchangeLog(
    software="colibri 0", measurement="dns_injection", version="1", options={"target": "press.example", "trials": 3},
    seed=2**63 - 1, batches=[BATCH, BATCH], verdict="interfered", technique="dns_injection", rule="dns_injection/x",
)  # fmt: skip
RECORDS = [record(1_700_000_000_000_000_000 + n * 1_000_001, n % 2 == 0) for n in range(6)]


def test_what_was_sealed_comes_back() -> None:
    evidence, data = seal(RECORDS, LOG)
    assert unseal(data) == (RECORDS, LOG)
    assert evidence.packets == 6
    assert evidence.exchanges == 8
    assert evidence.pcapng_sha256 == hashlib.sha256(data).hexdigest()


@given(
    st.lists(st.tuples(st.integers(0, 2**63), st.booleans(), st.binary(max_size=60)), max_size=12),
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers(-(2**53), 2**53), max_size=4),
)
def test_anything_sealed_comes_back_in_order_of_time(
    packets: list[tuple[int, bool, bytes]], seed: int, options: dict[str, Any]
) -> None:
    records = [record(*one) for one in packets]
    log = msgspec.structs.replace(LOG, seed=seed, options=options)
    evidence, data = seal(records, log)
    again, read = unseal(data)
    assert read == log
    assert again == sorted(records, key=lambda one: one.ns)
    assert evidence.packets == len(records)


def test_the_same_run_gives_the_same_file() -> None:
    assert seal(RECORDS, LOG) == seal(list(reversed(RECORDS)), LOG)


def test_a_long_log_takes_several_comments() -> None:
    chance = random.Random(1)
    steps = [Entry(step=UdpStep(address="203.0.113.10", port=1, payload=chance.randbytes(300)),
                   note=chance.randbytes(150).hex()) for _ in range(800)]  # fmt: skip
    log = msgspec.structs.replace(LOG, batches=[steps])
    _, data = seal([], log)
    assert len(pcapng.read(data).comments) > 3
    records, read = unseal(data)
    assert records == []
    for one, asked in zip(read.batches[0], steps, strict=True):
        assert is_step_of(one, asked.step)
        assert not is_step_of(one, msgspec.structs.replace(asked.step, payload=b"another"))
        assert not is_step_of(one, msgspec.structs.replace(asked.step, port=2))


def test_of_payloads_the_log_holds_digests() -> None:
    step = UdpStep(address="203.0.113.10", port=1, payload=random.Random(1).randbytes(3000))
    assert len(seal([], msgspec.structs.replace(LOG, batches=[[Entry(step=step)]]))[1]) < 1000


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wiresharks_tools_open_it(tmp_path: Path) -> None:
    file = tmp_path / "evidence.pcapng"
    file.write_bytes(seal(RECORDS, LOG)[1])
    fields = ["frame.time_epoch", "ip.src", "dns.qry.name", "_ws.malformed", "frame.packet_flags_direction"]
    command = ["tshark", "-r", str(file), "-T", "fields", *(word for name in fields for word in ("-e", name))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 6
    assert rows[0][0].startswith("1700000000.0000000")
    assert rows[1][0].startswith("1700000000.001000001")
    assert [row[1] for row in rows[:2]] == ["0.0.0.0", "203.0.113.10"]
    assert {row[2] for row in rows} == {"press.example"}
    assert {row[3] for row in rows} == {""}


def test_a_foreign_capture_is_told_apart() -> None:
    foreign = pcapng.write([(r.ns, r.outgoing, r.data) for r in RECORDS], ["somebody's own words"], "dumpcap")
    with pytest.raises(MalformedRecord, match="without Colibri's exchange log") as caught:
        unseal(foreign, "capture.pcapng")
    assert caught.value.where == "capture.pcapng"


ENCODED = msgspec.json.encode(LOG)


def with_log(text: str) -> bytes:
    chunks = [text[i : i + 60_000] for i in range(0, len(text), 60_000)] or [""]
    return pcapng.write([], [f"colibri.exchanges/1 {chunk}" for chunk in chunks])


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        seal(RECORDS, LOG)[1][:-3],
        with_log(""),
        with_log("no base64!"),
        with_log("äöü"),
        with_log(base64.b64encode(b"not deflated").decode()),
        with_log(packed(b"{")),
        with_log(packed(b"[]")),
        with_log(packed(b'{"schema":"colibri.exchanges/9"}')),
        with_log(packed(b"[" * 100_000)),
        with_log(packed(ENCODED.replace(b'"options":{', b'"options":{"x":' + b"[" * 5000 + b"]" * 5000 + b","))),
        with_log(packed(ENCODED)[:-40]),
        pcapng.write([(1, True, b"\x45\x00")], [f"colibri.exchanges/1 {packed(ENCODED)}"]),
    ],
    ids=["empty", "text", "cut", "no log", "no base64", "no ASCII", "not deflated", "cut JSON", "a list", "schema",
         "too deep", "too deep inside", "cut log", "no packet"],
)  # fmt: skip
def test_what_is_broken_is_told_in_one_line(data: bytes) -> None:
    with pytest.raises(MalformedRecord) as caught:
        unseal(data, "x.pcapng")
    assert str(caught.value).startswith("x.pcapng: ")
    assert "\n" not in str(caught.value)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = packed(b'{"schema":"colibri.exchanges/1","software":"' + b"a" * (80 << 20) + b'"}')
    with pytest.raises(MalformedRecord, match="exchange log"):
        unseal(with_log(bomb))


WHOLE = seal(RECORDS, LOG)[1]


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6),
       st.integers(0, len(WHOLE)))  # fmt: skip
def test_damage_raises_nothing_else(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    for version in (bytes(data), bytes(data[:cut]), bytes(data[:cut] + data[cut + 1 :])):
        try:
            records, log = unseal(version)
        except MalformedRecord:
            continue
        assert isinstance(log, ExchangeLog)
        assert all(isinstance(one, Record) for one in records)


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2\xa1", pcapng.write([]), pcapng.write([], ["someone's"], "tool")])
def test_what_others_wrote_is_no_evidence_of_ours(data: bytes) -> None:
    assert not is_evidence(data)


def test_evidence_is_known_by_its_first_block() -> None:
    data = seal([], LOG)[1]
    assert is_evidence(data)
    assert is_evidence(data[:100])
