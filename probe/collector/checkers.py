"""Findings are understood and their signatures checked beside the thread that talks to the broker, many at a time.

What is much goes to processes of their own, begun when they are first needed: threads that compute in one process wait
for each other, and a thread that checks signatures wants the interpreter back after each. With little to do there are
none. ``python -m probe.collector.checkers`` is such a process: it reads messages and writes what it thinks of them,
until its input ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import itertools
import logging
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO

import msgspec

from probe.collector.ingest import Draft, draft
from probe.collector.signatures import Claim, genuine
from probe.collector.verdicts import NewFinding, Reason, Rejected
from probe.model.finding import Finding

PORTION = 128
"""Most messages that are given away at a time: some 15 ms of work."""
BYTES = 4 * 1024 * 1024
"""Bytes of them after which a portion is full."""
MANY = 32
"""From how many at a time it is worth a process."""
ENDING = 5.0
"""Seconds that a process is given to end when its input has."""
BUFFER = 1024 * 1024
"""Bytes that wait in the kernel for a process: the next portion is there when it has answered the last."""

GARBAGE = 50_000, 20, 50
"""Thresholds of the search for garbage in cycles (gc.set_threshold): thousands of findings live for a moment, without
cycles, and looking for those each 700 objects takes half the time."""

_LENGTH = struct.Struct(">Q")
_log = logging.getLogger(__name__)

Letter = tuple[str, bytes]
"""Topic and payload of a message."""
Checked = tuple[Draft, bool]
"""What becomes of it, and whether its claim is true."""


class Checkers:
    """So many ``lanes`` side by side; ``submit`` is not for several threads."""

    def __init__(self, lanes: int) -> None:
        self._lanes = [_Lane() for _ in range(lanes)]
        self._next = itertools.cycle(self._lanes)

    def submit(self, letters: Sequence[Letter], received_at: int) -> list[Future[list[Checked]]]:
        """Begin; the answers of some after those of others, in order. ``received_at`` in ms."""
        return [next(self._next).submit(some, received_at) for some in portions(letters)]

    def close(self) -> None:
        """Wait for what is running, and end threads and processes."""
        for lane in self._lanes:
            lane.close()


def portions(letters: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    """All of them in their order, in portions that are neither long nor large."""
    begun = size = 0
    for at, (_, payload) in enumerate(letters):
        if at > begun and (at - begun == PORTION or size + len(payload) > BYTES):
            yield letters[begun:at]
            begun, size = at, 0
        size += len(payload)
    if begun < len(letters):
        yield letters[begun:]


def check(letters: Sequence[Letter], received_at: int) -> list[Checked]:
    """Here and now."""
    drafts = [draft(topic, payload, received_at) for topic, payload in letters]
    return [(one, one.claim is not None and genuine(one.claim)) for one in drafts]


class _Work(msgspec.Struct, array_like=True, frozen=True):
    letters: Sequence[Letter]
    received_at: int


class _New(msgspec.Struct, array_like=True, frozen=True, tag=0):
    """A NewFinding, without what the sender of its message has."""

    digest: bytes
    at: int | None


class _No(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """A Rejected."""

    reason: Reason
    detail: str
    probe: str
    finding_id: str


class _Report(msgspec.Struct, array_like=True, frozen=True):
    """A Draft on its way back; the finding without its details, which nobody asks for."""

    judgement: _New | _No
    finding: Finding | None
    key: str
    genuine: bool
    unfit: bool


_WORK = msgspec.msgpack.Decoder(_Work)
_REPORTS = msgspec.msgpack.Decoder(list[_Report])


class _Lane:
    """A process, once there is much to check; a thread that writes to it, and one that reads (or checks itself)."""

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(1, "letters")
        self._reader = ThreadPoolExecutor(1, "checker")
        self._process: subprocess.Popen[bytes] | None = None
        self._alone = False  # there can't be a process, or it has ended

    def submit(self, letters: Sequence[Letter], received_at: int) -> Future[list[Checked]]:
        asked = None
        if len(letters) >= MANY and not self._alone:
            asked = self._writer.submit(self._ask, _Work(letters, received_at))
        return self._reader.submit(self._answer, letters, received_at, asked)

    def close(self) -> None:
        self._writer.shutdown(cancel_futures=True)
        self._reader.shutdown(cancel_futures=True)
        if self._process is not None:
            _end(self._process)

    def _ask(self, work: _Work) -> bool:
        """Whether the process has been asked."""
        try:
            if self._process is None and not self._alone:
                self._process = _begin()
            if self._alone or self._process is None or self._process.stdin is None:
                return False
            send(self._process.stdin, msgspec.msgpack.encode(work))
        except OSError as error:
            self._fall_back(str(error))
        return not self._alone

    def _answer(self, letters: Sequence[Letter], received_at: int, asked: Future[bool] | None) -> list[Checked]:
        if asked is not None and asked.result() and self._process is not None and self._process.stdout is not None:
            answer = receive(self._process.stdout)
            if answer:
                reports = _REPORTS.decode(answer)
                return [_checked(report, payload) for report, (_, payload) in zip(reports, letters, strict=True)]
            self._fall_back("it has ended")
        return check(letters, received_at)

    def _fall_back(self, why: str) -> None:
        if not self._alone:
            self._alone = True
            _log.warning("findings are checked without a process of their own: %s", why)


def _report(one: Draft, *, is_genuine: bool) -> _Report:
    """Raises TypeError for a Draft of what is no finding's message."""
    finding, judgement = one.finding, one.judgement
    if isinstance(finding, Finding):
        finding = msgspec.structs.replace(finding, details={})
    elif finding is not None:
        raise TypeError(f"a draft of a {type(finding).__name__}")
    key = one.claim.key if one.claim is not None else ""
    if isinstance(judgement, NewFinding):
        return _Report(_New(judgement.digest, judgement.at), finding, key, is_genuine, one.unfit)
    if isinstance(judgement, Rejected):
        return _Report(_No(*msgspec.structs.astuple(judgement)), finding, key, is_genuine, one.unfit)
    raise TypeError(f"a draft that is a {type(judgement).__name__}")


def _checked(report: _Report, payload: bytes) -> Checked:
    finding, judgement = report.finding, report.judgement
    claim = Claim(b"", report.key, "") if report.key else None  # who signed: what, is checked
    judged: NewFinding | Rejected
    if isinstance(judgement, _No):
        judged = Rejected(*msgspec.structs.astuple(judgement))
    elif finding is not None:
        key = finding.signature.key if finding.signature is not None else ""
        judged = NewFinding(finding, payload, judgement.digest, judgement.at, key)
    else:
        raise TypeError("a new finding without a finding")
    return Draft(judged, finding, claim, report.unfit), report.genuine


def _begin() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "probe.collector.checkers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    if process.stdin is not None:
        with contextlib.suppress(OSError):  # a limit of the system's: then it waits a little more often
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, BUFFER)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()


def send(pipe: IO[bytes], data: bytes) -> None:
    """Write ``data``, its length before it, to an unbuffered pipe. Raises OSError."""
    for part in (_LENGTH.pack(len(data)), data):
        view = memoryview(part)
        while view:
            view = view[pipe.write(view) :]


def receive(pipe: IO[bytes]) -> bytes:
    """Read what :func:`send` has written; empty at the end of the pipe. Raises OSError."""
    head = _exactly(pipe, _LENGTH.size)
    return _exactly(pipe, _LENGTH.unpack(head)[0]) if head else b""


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        some = pipe.read(size - len(data))
        if not some:
            return b""
        data += some
    return bytes(data)


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until ``asked`` ends."""
    while data := receive(asked):
        work = _WORK.decode(data)
        reports = [_report(one, is_genuine=true) for one, true in check(work.letters, work.received_at)]
        send(answers, msgspec.msgpack.encode(reports))


def main() -> int:
    """The process: whoever stops the collector stops it by ending its input, when the last answers are there."""
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError), open(0, "rb", 0) as asked, open(1, "wb", 0) as answers:
        serve(asked, answers)
    return 0


__all__ = [
    "BYTES", "GARBAGE", "MANY", "PORTION", "Checked", "Checkers", "Letter", "check", "main", "portions", "receive",
    "send", "serve",
]  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
