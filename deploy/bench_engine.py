"""``make bench`` and ``make bench-quick``: the engine beside the best tools, on the same targets, turn by turn.

A lab of a dozen hops is raised; every row is measured in pairs, Colibri then its peer, on a core of its own. What is
not complete does not count. CPU is user and system time of the process and all it waits for. Figures are this
machine's; ratios of one pair say more. ``--write FILE`` puts the tables between the marks in FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bench_lab
from bench_common import byte_code, write
from bench_daemon import Daemon

from probe.lab.kinds import Box, DnsInjector, Impair, ResetInjector, RouteAway
from probe.lab.lab import Lab

SECTION = "engine"
"""Of docs/benchmarks.md."""
HERE = Path(__file__).parent
COLIBRI = str(Path(sys.executable).with_name("colibri"))
COMPLETE = 0.999
RATE, SCAMPERS = 40_000, 10_000  # packets a second: what loses nothing here, and what scamper does at most
PORTS = [80, 443, 8080, 8443]
HOPS = str(bench_lab.HOPS)
FEW = 20
"""Ways for a tool that goes one after the other."""
RTT = 0.04
CONFIG = """
[probe]
state_dir = "{folder}"
[safety]
allow_networks = ["198.18.0.0/15", "203.0.113.0/24"]
packets_per_second = 20000
target_packets_per_second = 20000
bytes_per_day = 100000000000
"""
AIODNS = """
import asyncio, sys, aiodns
async def main():
    resolver = aiodns.DNSResolver(nameservers=[sys.argv[1]], timeout=2, tries=3)
    names, right = iter(range(int(sys.argv[2]))), 0
    async def worker():
        nonlocal right
        for i in names:
            found = await resolver.query_dns(f"n{i}.bench.example", "A")
            right += bool(found.answer)
    await asyncio.gather(*(worker() for _ in range(100)))
    print(right)
asyncio.run(main())
"""
SCAPY = """
import sys
from scapy.config import conf
conf.verb = 0
from scapy.layers.inet import traceroute
answered, _ = traceroute(sys.argv[1].split(","), maxttl=12, timeout=2, verbose=0)
print(len(answered))
"""


@dataclass
class Run:
    """What one run took: seconds of wall and CPU, how many of how many were right."""

    wall: float
    cpu: float
    right: int
    of: int

    @property
    def complete(self) -> bool:
        """Whether it counts."""
        return self.right >= COMPLETE * self.of


@dataclass
class Row:
    """A row of the table. ``value``: what is compared, ``wall`` or ``cpu``; a row without a peer is held against
    ``bar`` seconds, one with a peer against ``bar`` times what the peer took."""

    work: str
    peer: str
    value: str
    bar: float
    pairs: list[tuple[Run, Run | None]] = field(default_factory=list)

    def shares(self) -> list[float]:
        """Ratio of each pair that is complete, or Colibri's own seconds where there is no peer."""
        found = []
        for ours, theirs in self.pairs:
            if not ours.complete:
                continue
            mine = float(getattr(ours, self.value))
            if theirs is None:
                found.append(mine)
            elif theirs.complete:
                found.append(mine / getattr(theirs, self.value))
        return found

    def table(self) -> str:
        """The row, as Markdown."""
        shares, ours = self.shares(), [one for one, _ in self.pairs]
        theirs = [one for _, one in self.pairs if one is not None]
        if shares:
            middle = statistics.median(shares)
            reached = "yes" if middle <= self.bar else f"**no**, {middle / self.bar:.2f} times"
            unit = "" if theirs else " s"
            share = f"{middle:.3g}{unit} ({min(shares):.3g} – {max(shares):.3g})"
        else:
            reached, share, unit = "**no**: no complete pair", "–", ""
        cells = [self.work, _cell(ours), f"{self.peer} {_cell(theirs)}", share, f"≤ {self.bar:.3g}{unit}", reached]
        return f"| {' | '.join(cells)} |"


def _cell(runs: Sequence[Run]) -> str:
    if not runs:
        return ""
    right, of = min(run.right for run in runs), runs[0].of
    wall, cpu = statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs)
    return f"{right:,}/{of:,}; {wall:.3f} s, {cpu * 1000:.1f} ms"


class Worker:
    """A process of bench_worker.py in the home."""

    def __init__(self, popen: Callable[..., subprocess.Popen[Any]]) -> None:
        self._process = popen([sys.executable, str(HERE / "bench_worker.py")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, cwd=HERE.parent)  # fmt: skip

    def do(self, job: str, **what: Any) -> dict[str, Any]:
        """Do a job and say what it took. Raises RuntimeError when the process dies."""
        assert self._process.stdin is not None  # noqa: S101 - they are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(json.dumps({"job": job, **what}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker died at {job}")
        told: dict[str, Any] = json.loads(line)
        return told

    def run(self, job: str, **what: Any) -> Run:
        """The same, as a run of a row."""
        told = self.do(job, **what)
        return Run(told["wall"], told["cpu"], told["right"], told["of"])

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def command(lab: bench_lab.BenchLab, argv: Sequence[str], of: int, count: Callable[[str], int], **more: Any) -> Run:
    """Run a command on the measured core; ``count`` reads from its output how much was right."""
    begun = time.perf_counter()
    process = lab.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **more)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    out = process.stdout.read()
    process.stdout.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(time.perf_counter() - begun, used.ru_utime + used.ru_stime, count(out), of)


class Peers:
    """The peers' commands, and ours as a command."""

    def __init__(self, lab: bench_lab.BenchLab, folder: Path) -> None:
        self._lab, self._folder = lab, folder
        self.targets = bench_lab.targets(250)
        self._hops = len(self.targets) * bench_lab.HOPS
        (folder / "targets").write_text("\n".join(self.targets))
        (folder / "colibri.toml").write_text(CONFIG.format(folder=folder))
        (folder / "daemon").mkdir()
        (folder / "daemon/colibri.toml").write_text(CONFIG.format(folder=folder / "daemon"))
        self._compiled = os.environ | byte_code(folder / "compiled")
        self._daemon = Daemon(lab.popen, folder / "daemon/colibri.toml", self._compiled)

    def close(self) -> None:
        """End the daemon."""
        self._daemon.close()

    def alone(self) -> Run:
        """``colibri probe sweep --direct``, from its start to its end."""
        env = self._compiled | {"COLIBRI_CONFIG": str(self._folder / "colibri.toml")}
        return self._colibri(env, "--direct")

    def through(self) -> Run:
        """``colibri probe sweep`` where a daemon runs: its CPU, and what the daemon spent meanwhile."""
        before = self._daemon.spent()
        run = self._colibri(self._daemon.env)
        run.cpu += self._daemon.spent() - before
        return run

    def _colibri(self, env: dict[str, str], *more: str) -> Run:
        argv = [COLIBRI, "probe", "sweep", "--file", str(self._folder / "targets"), "--hops", str(bench_lab.HOPS),
                "--json", *more]  # fmt: skip
        return command(self._lab, argv, self._hops, lambda out: out.count('"said"'), env=env)

    def scamper(self) -> Run:
        """At its own cap, the fewest probes that it can send."""
        targets = str(self._folder / "targets")
        argv = ["scamper", "-p", str(SCAMPERS), "-c", "trace -P tcp -d 80 -q 1 -w 1", "-f", targets]
        return command(self._lab, argv, self._hops, _count_hops)

    def scapy(self) -> Run:
        """Its own traceroute()."""
        argv = [sys.executable, "-c", SCAPY, ",".join(self.targets)]
        return command(self._lab, argv, self._hops, lambda out: int(out.split()[-1]) if out.split() else 0)

    def traceroute(self, targets: Sequence[str]) -> Run:
        """One way after the other, as it goes; all twelve routers of each asked at once."""
        argv = ["traceroute", "-n", "-T", "-p", "80", "-q", "1", "-w", "1", "-m", HOPS, "-N", HOPS]
        script = f'for target; do {" ".join(argv)} "$target"; done'
        return command(self._lab, ["sh", "-c", script, "sh", *targets], len(targets) * bench_lab.HOPS, _count_hops)

    def dnsperf(self, count: int) -> Run:
        """One client, 100 queries under way."""
        (self._folder / "names").write_text("".join(f"n{i}.bench.example A\n" for i in range(count)))
        argv = ["dnsperf", "-s", bench_lab.RESOLVER, "-d", str(self._folder / "names"), "-n", "1", "-q", "100",
                "-c", "1", "-T", "1"]  # fmt: skip
        return command(self._lab, argv, count, _count_completed)

    def aiodns(self, count: int) -> Run:
        """100 queries under way."""
        argv = [sys.executable, "-c", AIODNS, bench_lab.RESOLVER, str(count)]
        return command(self._lab, argv, count, lambda out: int(out or 0))

    def nmap(self, cells: dict[str, bool]) -> Run:
        """-sS, with as few further questions as it lets itself be told."""
        (self._folder / "cells").write_text("\n".join(cells))
        argv = ["nmap", "-sS", "-n", "-Pn", "-T5", "--min-rate", str(SCAMPERS), "--max-retries", "2", "-oG", "-", "-p",
                ",".join(map(str, PORTS)), "-iL", str(self._folder / "cells")]  # fmt: skip
        return command(self._lab, argv, len(cells) * len(PORTS), lambda out: _count_cells(out, cells))


def _count_hops(out: str) -> int:
    lines = (line.split() for line in out.splitlines())
    return sum(len(words) >= 2 and words[0].isdigit() and words[1] != "*" for words in lines)


def _count_completed(out: str) -> int:
    lines = (line.split() for line in out.splitlines())
    return next((int(words[2]) for words in lines if words[:2] == ["Queries", "completed:"]), 0)


def _count_cells(out: str, cells: dict[str, bool]) -> int:
    right = 0
    for line in out.splitlines():
        if "Ports:" not in line:
            continue
        alive = cells[line.split()[1]]
        for part in line.split("Ports:")[1].split("Ignored")[0].split("\t")[0].split(","):
            port, state = part.strip().split("/")[:2]
            right += state == ("filtered" if not alive else "open" if port in ("80", "443") else "closed")
    return right


def work_by_the_thousand(pairs: int, *, quick: bool) -> list[Row]:
    """Sweeps, names and ports beside their peers."""
    sweeps, names = "sweep of 250 targets × 12 hops", 10_000
    slow = Row(f"{sweeps} in the daemon, 10,000 packets/s: CPU", "scamper", "cpu", 0.5)
    fast = Row(f"… at {RATE:,} packets/s: wall", "scamper", "wall", 0.5)
    cli = Row("… as a command, done by the daemon that runs: CPU of both", "scamper", "cpu", 1.0)
    alone = Row("… as a command, alone (`--direct`): CPU", "scamper", "cpu", 1.0)
    scapy = Row("… in the daemon: CPU", "scapy", "cpu", 0.01)
    one_by_one = Row(f"{FEW} targets × 12 hops in the daemon: CPU", "traceroute", "cpu", 1.0)
    dnsperf = Row(f"{names:,} DNS queries, all answers with TTL and IP ID: CPU", "dnsperf", "cpu", 1.0)
    aiodns = Row("… CPU", "aiodns", "cpu", 0.35)
    nmap = Row("ports of 256 addresses × 4, a quarter lost: CPU", "nmap -sS", "cpu", 1.0)
    with bench_lab.lab() as lab, tempfile.TemporaryDirectory() as folder:
        peers, worker = Peers(lab, Path(folder)), Worker(lab.popen)
        cells = bench_lab.matrix()

        def sweep(rate: int, targets: Sequence[str] = peers.targets) -> Run:
            return worker.run("sweep", targets=targets, hops=bench_lab.HOPS, rate=rate)

        def ask() -> Run:
            return worker.run("dns", resolver=bench_lab.RESOLVER, count=names, rate=100_000)

        sweep(RATE)
        ask()
        peers.alone()
        peers.through()
        for number in range(pairs):
            slow.pairs.append((sweep(SCAMPERS), theirs := peers.scamper()))
            fast.pairs.append((sweep(RATE), theirs))
            cli.pairs.append((peers.through(), peers.scamper()))
            alone.pairs.append((peers.alone(), peers.scamper()))
            one_by_one.pairs.append((sweep(SCAMPERS, peers.targets[:FEW]), peers.traceroute(peers.targets[:FEW])))
            dnsperf.pairs.append((mine := ask(), peers.dnsperf(names)))
            if not quick or not number:
                scapy.pairs.append((sweep(SCAMPERS), peers.scapy()))
                aiodns.pairs.append((mine, peers.aiodns(names)))
                nmap.pairs.append((worker.run("ports", cells=cells, numbers=PORTS, rate=RATE), peers.nmap(cells)))
        worker.close()
        peers.close()
    return [slow, fast, cli, alone, scapy, one_by_one, dnsperf, aiodns, nmap]


def far_away(runs: int) -> list[Row]:
    """Locating, and whole verdicts, where a round trip takes 40 ms."""
    rows = [Row("reset injector, one pass over 12 TTLs: wall beyond two round trips", "", "wall", 0.005),
            Row("DNS injector, one pass over 12 TTLs: wall beyond one round trip", "", "wall", 0.005)]  # fmt: skip
    verdicts = {
        "dns_injection": {"target": "forbidden.example", "silent": "203.0.113.12"},
        "tcp_reset": {"target": "http://forbidden.example/", "address": "203.0.113.10"},
        "ttl_path": {"target": "http://forbidden.example/", "address": "203.0.113.10"},
        "blackhole": {"target": "203.0.113.14", "siblings": ["203.0.113.10"]},
    }
    measure = {"resolver": "203.0.113.10", "control_name": "press.example", "control_address": "203.0.113.11"}
    boxes: list[Box] = [DnsInjector(at="chain.r6", names=("forbidden.example",)),
             ResetInjector(at="chain.r6", words=("forbidden.example",)),
             RouteAway(at="chain.r6", prefixes=("203.0.113.14/32",)),
             Impair(at="chain.r1", delay=RTT / 2)]  # fmt: skip
    whole = [Row(f"`{name}`, whole verdict with trials and controls: wall", "", "wall", 3.0) for name in verdicts]
    with Lab.chain(11, boxes) as lab:
        # Before everybody else on the processor, as the lab's boxes are, where the system lets us: else a busy machine
        # is what is timed.
        punctual = ["chrt", "--rr", "1"] if os.geteuid() == 0 else []
        worker = Worker(lambda argv, **more: lab.popen("chain", [*punctual, *argv], **more))
        for _ in range(runs):
            rows[0].pairs.append((worker.run("locate", kind="tcp", address="203.0.113.10"), None))
            rows[1].pairs.append((worker.run("locate", kind="dns", address="203.0.113.10"), None))
            for row, (name, options) in zip(whole, verdicts.items(), strict=True):
                row.pairs.append((worker.run("verdict", measurement=name, options=options, measure=measure), None))
        worker.close()
    return rows + whole


def growth(most: int) -> str:
    """Sweeps of more and more targets, each in a process of its own."""
    lines = ["| targets × 12 hops | complete | wall, s | CPU, s | µs CPU a probe | memory, MB |",
             "|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    with bench_lab.lab() as lab:
        count = 10
        while count <= most:
            worker = Worker(lab.popen)
            worker.do("sweep", targets=bench_lab.targets(1), hops=bench_lab.HOPS, rate=RATE)
            told = worker.do("sweep", targets=bench_lab.targets(count), hops=bench_lab.HOPS, rate=RATE)
            worker.close()
            complete, each = 100 * told["right"] / told["of"], told["cpu"] / told["packets"] * 1e6
            lines.append(f"| {count:,} | {complete:.2f} % | {told['wall']:.2f} | {told['cpu']:.3f} | {each:.1f} | "
                         f"{told['memory']:.1f} |")  # fmt: skip
            count *= 10
    return "\n".join(lines)


def growth_of_ports() -> str:
    """Ports of more and more addresses, a quarter of them lost on the way."""
    lines = ["| addresses × 4 ports, a quarter lost | right | wall, s | CPU, s | µs CPU a cell |", "|---:" * 5 + "|"]
    everything = list(bench_lab.matrix().items())
    with bench_lab.lab() as lab:
        worker = Worker(lab.popen)
        for count in (16, 64, 256):
            told = worker.do("ports", cells=dict(everything[:count]), numbers=PORTS, rate=RATE)
            lines.append(f"| {count} | {told['right']:,} of {told['of']:,} | {told['wall']:.2f} | {told['cpu']:.4f} | "
                         f"{told['cpu'] / told['of'] * 1e6:.1f} |")  # fmt: skip
        worker.close()
    return "\n".join(lines)


def growth_of_the_blackhole() -> str:
    """The whole measurement, on more and more addresses of which every one is lost, each in a process of its own."""
    lines = ["| addresses × 4 ports, all lost | right | packets | wall, s | CPU, s | memory, MB |", "|---:" * 6 + "|"]
    answering = [f"198.19.{100 + i}.1" for i in range(3)]
    options = {"ports": [*PORTS], "siblings": answering}
    with bench_lab.lab() as lab:
        for length in (32, 28, 26, 24):
            worker = Worker(lab.popen)
            told = worker.do("verdict", measurement="blackhole", measure={"control_address": "198.19.110.1"},
                             options=options | {"target": f"198.19.200.0/{length}"})  # fmt: skip
            worker.close()
            lines.append(f"| {1 << 32 - length} | {told['right']} of {told['of']} | {told['packets']:,} | "
                         f"{told['wall']:.1f} | {told['cpu']:.3f} | {told['memory']:.1f} |")  # fmt: skip
    return "\n".join(lines)


def growth_of_the_spool(most: int) -> str:
    """What more and more waiting findings cost, in a process of their own."""
    argv = [sys.executable, str(HERE / "bench_spool.py"), str(most)]
    return subprocess.run(argv, cwd=HERE.parent, check=True, capture_output=True, text=True).stdout.strip()


def report(rows: Sequence[Row], more: str, pairs: int, cores: int) -> str:
    """The tables, as Markdown."""
    python = platform.python_version()
    machine = f"{platform.machine()}, {cores} cores, Python {python}, Linux {platform.release()}"
    load = os.getloadavg()[2]
    said = (f"{pairs} pairs of each row, turn by turn; {machine}; load {load:.1f} in the quarter of an hour before the "
            "end. A cell: complete (the worst run), wall, CPU (medians). Ratios compare; the rest is the machine's.")
    head = ["| work | Colibri | peer | ratio, or seconds: median (least – most) | bar | reached |", "|---" * 6 + "|"]
    return "\n\n".join(filter(None, [said, "\n".join(head + [row.table() for row in rows]), more]))


def main() -> int:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="a minute: two pairs, no curves")
    parser.add_argument("--pairs", type=int, default=0, help="pairs of each row (5; quick: 2)")
    parser.add_argument("--write", metavar="FILE", type=Path, help="put the tables into FILE, between its marks")
    args = parser.parse_args()
    missing = [tool for tool in ("scamper", "traceroute", "dnsperf", "nmap", "taskset") if shutil.which(tool) is None]
    if missing:
        print(f"bench: missing: {', '.join(missing)} (deploy/install.sh bench installs them)", file=sys.stderr)
        return 1
    pairs = args.pairs or (2 if args.quick else 5)
    cores = os.sched_getaffinity(0)
    rows = work_by_the_thousand(pairs, quick=args.quick)
    os.sched_setaffinity(0, cores)
    rows += far_away(1 if args.quick else pairs)
    more = "" if args.quick else "\n\n".join([
        "Sweeps of more and more targets, at 40,000 packets a second, each in a process of its own:", growth(10_000),
        "Ports:", growth_of_ports(),
        "`blackhole`, the measurement with its trials, controls and sweeps:", growth_of_the_blackhole(),
        "Findings that wait on the device:", growth_of_the_spool(1_000_000),
    ])  # fmt: skip
    text = report(rows, more, pairs, len(cores))
    print(text)
    if args.write:
        write(args.write, SECTION, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
