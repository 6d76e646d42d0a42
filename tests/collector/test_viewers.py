"""A thousand viewers of the whole collector, over real connections: how soon a finding that a probe sends is with them,
and what those who do not read do to the others. ``pytest -m long -s tests/collector/test_viewers.py`` prints the
figures that docs/monitor.md tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector.languages.language import CODES
from probe.collector.subscriber import wall_clock
from probe.model.config import Config
from probe.model.finding import Finding, Target
from tests.collector.test_service import SERVE

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe, Process, Uplink

pytestmark = [pytest.mark.loopback, pytest.mark.long]

VIEWERS, IDLERS = 1000, 50
BROADCASTS, ALOUD = 40, 80
APART = 0.7
"""Seconds between two findings, on the average: each is told alone."""
TARGETS = 12
WITHIN = 0.2


class Board:
    """What came when, at all viewers together."""

    def __init__(self) -> None:
        self.seen: dict[int, list[float]] = {}
        self.answered = self.lost = 0
        self.transports: list[asyncio.Transport] = []
        self._awaited: dict[int, asyncio.Future[None]] = {}

    def arrived(self, change: int, at: float) -> None:
        times = self.seen.setdefault(change, [])
        times.append(at)
        awaited = self._awaited.get(change)
        if len(times) == VIEWERS and awaited is not None and not awaited.done():
            awaited.set_result(None)

    def close(self) -> None:
        """Everybody leaves."""
        for transport in self.transports:
            transport.abort()

    async def everywhere(self, change: int) -> list[float]:
        """When a change was with each viewer, once it is with all."""
        if len(self.seen.get(change, ())) < VIEWERS:
            self._awaited[change] = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._awaited[change], 60)
        return self.seen[change]


class Viewer(asyncio.Protocol):
    """Reads, and tells the board which changes were there."""

    def __init__(self, board: Board, request: bytes) -> None:
        self._board, self._request = board, request
        self._rest = b""
        self._last = 0

    def connection_made(self, transport: Any) -> None:
        self._board.transports.append(transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self._last:
            assert data.startswith(b"HTTP/1.1 200")
            self._last = -1
            self._board.answered += 1
        text = self._rest + data
        for part in text.split(b"\nid: ")[1:]:
            number, end, _ = part.partition(b"\n")
            if end and int(number) > self._last:
                self._last = int(number)
                self._board.arrived(self._last, now)
        self._rest = text[-40:]

    def connection_lost(self, _: Exception | None) -> None:
        self._board.lost += 1


@pytest.fixture
def many_files() -> Iterator[None]:
    """So many sockets need more files than a shell gives. The collector has been started without them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * (VIEWERS + IDLERS) + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this system allows {hard} open files, not {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def running(
    settings: Config, processes: Callable[..., Process], uplink: Uplink
) -> tuple[Config, Process]:
    """A collector that was given the 1,024 files of a shell, and has to help itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))
    try:
        process = processes(SERVE, msgspec.json.encode(settings).decode())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == b"ready\n"
    return settings, process


def health(config: Config) -> dict[str, Any]:
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(
        f"http://{config.collector.listen}/healthz", timeout=10
    ) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
    return {}


def request_of(code: str, change: int) -> bytes:
    return f"GET /{code}/events?after={change} HTTP/1.1\r\nHost: monitor\r\nAccept: text/event-stream\r\n\r\n".encode()


async def gather(board: Board, config: Config, change: int) -> None:
    """Viewers in all languages, each with a connection of its own; returns when all are answered."""
    host, _, port = config.collector.listen.rpartition(":")
    loop = asyncio.get_running_loop()
    for number in range(VIEWERS):
        request = request_of(CODES[number % len(CODES)], change)
        await loop.create_connection(partial(Viewer, board, request), host, int(port))
    for _ in range(1200):
        if board.answered == VIEWERS:
            break
        await asyncio.sleep(0.05)
    assert board.answered == VIEWERS


def idlers(config: Config) -> list[socket.socket]:
    """Those who ask and never read, with hardly a window."""
    host, _, port = config.collector.listen.rpartition(":")
    found = []
    for number in range(IDLERS):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect((host, int(port)))
        sock.sendall(request_of(CODES[number % len(CODES)], 0))
        found.append(sock)
    return found


def told(what: str, spans: list[list[float]]) -> float:
    """Prints the figures in ms; returns the 95th percentile in seconds."""
    every = sorted(span for some in spans for span in some)
    p50, p95, worst = every[len(every) // 2], every[int(0.95 * len(every))], every[-1]
    last = statistics.median(max(some) for some in spans)
    print(f"\n{what}: {len(spans)} findings to {len(spans[0])} viewers: median {1000 * p50:.0f} ms, "
          f"95 % {1000 * p95:.0f} ms, the latest {1000 * worst:.0f} ms; the last viewer typically {1000 * last:.0f} ms")
    return p95


async def broadcasts(
    board: Board, uplink: Uplink, probe: FakeProbe, change: int, count: int
) -> tuple[list[list[float]], int]:
    """From a probe's sending until each viewer has it, for so many findings; and the last one's change."""
    spans = []
    for number in range(count):
        finding = probe.finding("interfered" if number % 2 else "clean", wall_clock(), target=Target("news.example"))
        begun = time.monotonic()
        uplink.send(finding)
        change += 1
        spans.append([at - begun for at in await board.everywhere(change)])
        await asyncio.sleep(APART * (0.5 + number * 7 % 10 / 10))
    return spans, change


def spent(process: Process) -> float:
    """CPU seconds of the collector so far."""
    fields = Path(f"/proc/{process.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def newest(config: Config) -> int:
    """The number of the newest change that is shown."""
    with urllib.request.urlopen(f"http://{config.collector.listen}/api/state", timeout=10) as answer:
        return int(json.load(answer)["change"])


@pytest.mark.usefixtures("many_files")
def test_a_thousand_are_told_within_a_fifth_of_a_second_whoever_does_not_read(
    running: tuple[Config, Process], uplink: Uplink, probes: Callable[..., FakeProbe], until: Callable[..., None]
) -> None:
    probe, (config, process) = probes(), running

    def every_target() -> list[Finding]:
        targets = [Target("news.example"), *(Target(f"{number}.example") for number in range(TARGETS))]
        return [probe.finding("clean", wall_clock(), target=target) for target in targets]

    def send(*findings: Finding) -> None:
        def stored() -> bool:
            missing = [finding for finding in findings if finding.id not in uplink.stored]
            uplink.send(*missing)
            time.sleep(0.2)
            return not missing

        until(stored, "they are stored")

    send(*every_target())
    change = newest(config)

    async def main() -> None:
        board, silent = Board(), list[socket.socket]()
        try:
            await gather(board, config, change)
            assert (await asyncio.to_thread(health, config))["viewers"]["now"] == VIEWERS
            before = spent(process)
            spans, _ = await broadcasts(board, uplink, probe, change, BROADCASTS)
            print(f"\nthe collector's CPU time for a finding: {1000 * (spent(process) - before) / BROADCASTS:.0f} ms")
            alone = told("alone", spans)
            silent += idlers(config)
            # Enough to fill every buffer between here and there.
            for _ in range(ALOUD):
                await asyncio.to_thread(send, *every_target())
            last = await asyncio.to_thread(newest, config)
            await board.everywhere(last)
            spans, _ = await broadcasts(board, uplink, probe, last, BROADCASTS)
            beside = told(f"beside {IDLERS} who do not read", spans)
            assert board.lost == 0, "nobody who reads is let go"
            assert (await asyncio.to_thread(health, config))["viewers"]["now"] == VIEWERS, "those who do not read are"
            assert alone < WITHIN
            assert beside < WITHIN
        finally:
            board.close()
            for sock in silent:
                sock.close()
            await asyncio.sleep(0)

    asyncio.run(main())
