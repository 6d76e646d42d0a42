"""``make bench-collector``: findings that one collector stores a second, beside ``mosquitto_sub`` on the same stream.

Everything is real and on this machine: Mosquitto, the collector's process (``colibri collector run``, its monitor and
public feed included), and one sender that stands for many probes, with findings of 2 KB that were signed beforehand. A
finding counts when the sender has heard ``stored`` for it: it is checked, and on the disk. Rounds of the collector and
of ``mosquitto_sub`` alternate; each collector begins with an empty store.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import select
import shutil
import signal
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from random import Random
from typing import Any, Self

import msgspec
from bench_common import write
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.collector import instants, mqtt, signatures
from probe.model import feed
from probe.model.canonical import signing_bytes
from probe.model.errors import MalformedRecord

SIZE = 2048
PROBES, TARGETS = 400, 20
LINES = [
    ("DZ", 64501, "fixed"), ("DZ", 64502, "mobile"), ("DZ", 64503, "fixed"), ("MA", 64511, "fixed"),
    ("MA", 64512, "mobile"), ("TN", 64521, "fixed"),
]  # fmt: skip
INTERFERED = {(64501, 3), (64501, 4), (64512, 7)}
"""(AS number, target) pairs that are interfered with: some 1.5 % of all findings, in three incidents."""
LATE = 0.01
"""Share of the findings that come a day late."""
WINDOW = 6000
"""Most findings under way at once: 15 of each probe."""
_LENGTH = struct.Struct(">I")
_SUBSCRIBED_S = 1.0  # mosquitto_sub does not say when it has subscribed


def stream(path: Path, count: int, seed: int = 4) -> None:
    """Write so many signed findings, as MQTT packets with their lengths before them."""
    random = Random(seed)
    keys = [Ed25519PrivateKey.from_private_bytes(random.randbytes(32)) for _ in range(PROBES)]
    publics = [base64.b64encode(key.public_key().public_bytes_raw()).decode() for key in keys]
    end = instants.now()
    begin = end - instants.HOUR
    with path.open("wb") as file:
        for number in range(count):
            who = random.randrange(PROBES)
            at = begin + (end - begin) * number // count - (instants.DAY if random.random() < LATE else 0)
            content = _finding(random, who, at)
            content["signature"] = {
                "key": publics[who], "value": base64.b64encode(keys[who].sign(signing_bytes(content))).decode(),
            }  # fmt: skip
            topic = feed.finding(content["probe"]["id"], content["measurement"])
            packet = mqtt.publication(topic, msgspec.json.encode(content), number % 65535 + 1, b"\x00", retain=False)
            file.write(_LENGTH.pack(len(packet)) + packet)


def _finding(random: Random, who: int, at: int) -> dict[str, Any]:
    country, asn, access = LINES[who % len(LINES)]
    number = random.randrange(TARGETS)
    bad = (asn, number) in INTERFERED
    noise = f"{random.getrandbits(74):019x}"
    hops = [
        {"ttl": ttl, "address": f"198.18.{ttl}.{random.randrange(256)}", "rtt_ms": round(random.expovariate(0.1), 3)}
        for ttl in range(1, 13)
    ]
    address = f"192.0.2.{number}"
    content: dict[str, Any] = {
        "schema": "colibri.finding/1", "measurement": "blackhole", "version": "3",
        "id": f"{at >> 16:08x}-{at & 0xFFFF:04x}-7{noise[:3]}-8{noise[3:6]}-{noise[6:18]}",
        "probe": {"id": f"p{who:05}", "software": "colibri 0.1.0"},
        "line": {"operator": f"Operator {asn}", "asn": asn, "country": country, "access": access},
        "target": {"input": address, "name": "", "address": address, "port": 443, "group": "hosts"},
        "started_at": instants.to_text(at), "duration_s": round(random.uniform(2, 9), 3), "clock": "synchronised",
        "verdict": "interfered" if bad else "clean",
        "interference": {"technique": "ip_blackhole", "placement": "in_path", "location": None} if bad else None,
        "rule": "blackhole/dies-on-the-way" if bad else "blackhole/answers", "trials": {"made": 5, "agreed": 5},
        "controls": {"made": 6, "agreed": 6}, "confidence": round(random.uniform(0.9, 1), 3),
        "reasons": ["5 of 5 packets to the address died after hop 5 while those to its neighbours passed."],
        "evidence": {"packets": 40, "pcapng_sha256": "", "exchanges": 11}, "details": {"hops": hops, "note": ""},
    }  # fmt: skip
    # What the signature will take, too.
    content["details"]["note"] = "x" * max(0, SIZE - len(msgspec.json.encode(content)) - 170)
    return content


def send(port: int, path: Path, *, stored: bool) -> float:
    """Publish a stream at QoS 1; seconds until the last finding is `stored` (or, without, taken by the broker)."""
    data, packets, at = path.read_bytes(), list[bytes](), 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        packets.append(data[at + _LENGTH.size : at + _LENGTH.size + length])
        at += _LENGTH.size + length
    sock = _connected(port, stored=stored)
    arriving, out = mqtt.Stream(1 << 24), bytearray()
    sent = done = 0
    begun = time.perf_counter()
    while done < len(packets):
        if len(out) < 1 << 18:
            upto = min(len(packets), sent + 64, done + WINDOW)
            out += b"".join(packets[sent:upto])
            sent = max(sent, upto)
        readable, writable, _ = select.select([sock], [sock] if out else [], [], 30)
        if not readable and not writable:
            raise TimeoutError(f"nothing for 30 s: {sent} sent, {done} done")
        if writable:
            del out[: sock.send(out)]
        if readable:
            done += sum(_done(event, stored=stored) for event in arriving.feed(sock.recv(1 << 18)))
    taken = time.perf_counter() - begun
    sock.close()
    return taken


def _connected(port: int, *, stored: bool) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    name = b"bench-sender"
    body = b"\x00\x04MQTT\x05\x02\x02\x58\x05\x27\x01\x00\x00\x00" + struct.pack(">H", len(name)) + name
    sock.sendall(b"\x10" + bytes([len(body)]) + body)
    if sock.recv(4096)[3:4] != b"\x00":
        raise ConnectionError("the broker refused the sender")
    if stored:
        sock.sendall(mqtt.subscription(1, [f"{feed.ROOT}/+/stored"], 0))
    sock.setblocking(False)
    return sock


def _done(event: mqtt.Event, *, stored: bool) -> int:
    """How many findings it says are done."""
    if not stored:
        return int(isinstance(event, mqtt.Acknowledged))
    if not isinstance(event, mqtt.Published):
        return 0
    answer = msgspec.json.decode(event.payload, type=feed.Stored)
    if answer.refused:
        raise MalformedRecord("the stream", f"refused: {answer.refused}")
    return len(answer.ids)


class Broker:
    """A Mosquitto that queues without limit and keeps nothing. Each round has its own: for a collector that it knows, a
    broker would keep what it is sent meanwhile, and deliver that first."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n"
            "max_queued_messages 0\nmax_inflight_messages 0\n"
        )
        path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if path is None:
            raise FileNotFoundError("mosquitto is not installed")
        self.process = subprocess.Popen([path, "-c", str(config)], stderr=subprocess.DEVNULL)
        _until(lambda: _listens(self.port), "mosquitto listens")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)


class Round(msgspec.Struct, frozen=True):
    """One round: findings a second, and microseconds of CPU that each took of the sink, the broker and the sender."""

    rate: float
    sink: float
    broker: float
    sender: float


def round_of_collector(broker: Broker, path: Path, count: int, folder: Path) -> Round:
    """The collector with an empty store. Raises RuntimeError unless each finding is in it once."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config, port = folder / "colibri.toml", _free_port()
    config.write_text(
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        f'[collector]\ndatabase = "{folder}/findings.sqlite3"\nlisten = "127.0.0.1:{port}"\n'
    )
    with (folder / "log").open("wb") as log:
        collector = subprocess.Popen(
            [sys.executable, "-m", "probe", "collector", "run", "--config", str(config)], stdout=log, stderr=log
        )
    try:
        _until(lambda: _healthy(port, collector), "the collector is there")
        found = _measure(broker, path, count, collector.pid, stored=True)
    except BaseException:
        sys.stderr.write((folder / "log").read_text())
        raise
    finally:
        collector.send_signal(signal.SIGTERM)
        collector.wait(60)
    db = sqlite3.connect(folder / "findings.sqlite3")
    (stored,) = db.execute("SELECT count(*) FROM findings").fetchone()
    (opened,) = db.execute("SELECT count(*) FROM incidents WHERE state = 'open'").fetchone()
    (again,) = db.execute("SELECT coalesce(sum(value), 0) FROM counters WHERE name = 'duplicate'").fetchone()
    db.close()
    if again:
        raise RuntimeError(f"{again} findings came twice: what was measured is more work than was counted")
    if stored != count or opened != len(INTERFERED):
        raise RuntimeError(f"{stored} of {count} findings are stored, {opened} of {len(INTERFERED)} incidents are open")
    return found


def round_of_mosquitto_sub(broker: Broker, path: Path, count: int) -> Round:
    """``mosquitto_sub`` that takes as many and writes them nowhere."""
    sink = subprocess.Popen(
        ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", f"{feed.ROOT}/+/finding/+", "-q", "1",
         "-V", "mqttv5", "-C", str(count)], stdout=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(_SUBSCRIBED_S)
    found = _measure(broker, path, count, sink.pid, stored=False)
    if sink.wait(60):
        raise RuntimeError("mosquitto_sub failed")
    return found


def _measure(broker: Broker, path: Path, count: int, sink: int, *, stored: bool) -> Round:
    sender = subprocess.Popen(
        [sys.executable, __file__, "--send", str(broker.port), str(path), *(["--stored"] if stored else [])],
        stdout=subprocess.PIPE,
    )
    before = _cpu(sink), _cpu(broker.process.pid)
    output, _ = sender.communicate(timeout=600)
    if sender.returncode:
        raise RuntimeError("the sender failed")
    told = json.loads(output)
    if not stored:  # what the broker took is not yet what the other end has
        begun = time.perf_counter()
        _until(lambda: not _runs(sink), "mosquitto_sub has all of it")
        told["seconds"] += time.perf_counter() - begun
    after = _cpu(sink) if stored else before[0], _cpu(broker.process.pid)
    each = [1e6 * (b - a) / count for a, b in zip(before, after, strict=True)]
    return Round(count / told["seconds"], each[0], each[1], 1e6 * told["cpu"] / count)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken, in all its threads and in the processes that it has begun."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    begun = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(_cpu, begun))


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _healthy(port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError("the collector ended")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _until(true: Any, what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never happened: {what}")
        time.sleep(0.002)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def report(collector: list[Round], plain: list[Round], count: int) -> str:
    """The section of docs/benchmarks.md."""
    def row(name: str, rounds: list[Round], *, sink: bool) -> str:
        rates = sorted(one.rate for one in rounds)
        spread = f"{rates[0]:,.0f} – {rates[-1]:,.0f}"
        cpu = [statistics.median(getattr(one, field) for one in rounds) for field in ("sink", "broker", "sender")]
        taken = f"{cpu[0]:.0f}" if sink else "–"
        return f"| {name} | {statistics.median(rates):,.0f} | {spread} | {taken} | {cpu[1]:.0f} | {cpu[2]:.0f} |"

    ratio = statistics.median(c.rate / p.rate for c, p in zip(collector, plain, strict=True))
    library = "libsodium" if signatures.available() else "OpenSSL"
    return "\n".join([
        f"{len(collector)} rounds of {count:,} findings of {SIZE // 1024} KB, {PROBES} probes, {len(LINES)} operators,",
        f"{TARGETS} targets; signatures by {library};",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.", "",
        "| sink | findings/s, median | range | CPU µs each: sink | broker | sender |", "|---|---:|---|---:|---:|---:|",
        row("collector, checked and on the disk", collector, sink=True),
        row("`mosquitto_sub`, thrown away", plain, sink=False), "",
        f"Ratio in the same run, median: **{ratio:.2f}**.",
    ])  # fmt: skip


def main() -> int:
    """Measure, print; with ``--write``, into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--findings", type=int, default=50_000, help="30,000 or more, for incidents to open")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="page whose section is replaced")
    parser.add_argument("--send", nargs=2, metavar=("PORT", "STREAM"), help=argparse.SUPPRESS)
    parser.add_argument("--stored", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.send:
        seconds = send(int(args.send[0]), Path(args.send[1]), stored=args.stored)
        print(json.dumps({"seconds": seconds, "cpu": time.process_time()}))
        return 0
    collector, plain = list[Round](), list[Round]()
    with tempfile.TemporaryDirectory(prefix="colibri-bench-") as name:
        folder = Path(name)
        stream(folder / "stream", args.findings)
        for number in range(args.rounds):
            with Broker(folder) as broker:
                plain.append(round_of_mosquitto_sub(broker, folder / "stream", args.findings))
            with Broker(folder) as broker:
                collector.append(round_of_collector(broker, folder / "stream", args.findings, folder / "collector"))
            rates = f"{collector[-1].rate:,.0f}/s; mosquitto_sub {plain[-1].rate:,.0f}/s"
            print(f"{number + 1}: {rates}", file=sys.stderr)
    section = report(collector, plain, args.findings)
    print(section)
    if args.write:
        write(args.write, "collector", section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
