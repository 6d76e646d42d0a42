"""The line's memory: what is usual, learnt from runs that were judged clean, kept in a small file.

Only what can't have been meddled with is learnt: a run in which nothing was wrong, packets at full TTL, and of
connections the handshake alone. It is bounded, and forgets what it has not seen for long.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from probe.model.baseline import Baseline, Usual
from probe.model.exchange import FULL_TTL, EchoStep, Exchange, SynStep, TcpStep, UdpStep
from probe.model.packet import Flags, Packet, Tcp
from probe.wire.address import address_bytes, address_text

FILE = "baseline.json"
"""Its name in the probe's state_dir."""
_MOST_HOSTS = 512
_MOST_TTLS = 8  # of one address
_MOST_BYTES = 1 << 20  # of the file
_ENOUGH = 1000  # answers of one address, at which all its counts are halved: what is new must be able to weigh
_OLD = 30 * 86400  # seconds
_ALPHA, _BETA = 1 / 8, 1 / 4  # RFC 6298, section 2.3

Lesson = tuple[str, float | None, int, bool]
"""Address, round trip in seconds (None: no answer), IP TTL on arrival, whether the IP identification was 0."""
Kind = tuple[type, str, int]
"""A kind of probe: its step, address and port."""


def lessons(exchanges: Iterable[Exchange]) -> list[Lesson]:
    """What harmless exchanges at full TTL teach; of connections the handshake, which comes before any trigger.

    A loss counts only for a kind of probe that the address answered elsewhere in the run: some it never does.
    """
    told = [(kind, lesson) for exchange in exchanges for kind, lesson in _lesson(exchange)]
    answers = {kind for kind, lesson in told if lesson[1] is not None}
    return [lesson for kind, lesson in told if kind in answers]


def _lesson(exchange: Exchange) -> Iterator[tuple[Kind, Lesson]]:
    step = exchange.step
    if isinstance(step, TcpStep):
        address = _canonical(step.address)
        for lesson in _handshake(address, exchange):
            yield (TcpStep, address, step.port), lesson
    elif isinstance(step, SynStep | EchoStep | UdpStep) and step.ttl == FULL_TTL and exchange.sent_at is not None:
        address = _canonical(step.address)
        kind = type(step), address, 0 if isinstance(step, EchoStep) else step.port
        first = next((h for h in exchange.answers if h.packet.source == address), None)
        if first is None:
            yield kind, (address, None, 0, False)
        else:
            yield kind, (address, first.at - exchange.sent_at, first.packet.ttl, first.packet.ident == 0)


def _canonical(address: str) -> str:
    return address_text(address_bytes(address))


def _handshake(address: str, exchange: Exchange) -> Iterator[Lesson]:
    synack = exchange.synack
    syns = [h.at for h in exchange.heard if h.outgoing and _opens(h.packet)]
    if synack is not None and len(syns) == 1:  # of a repeated SYN nobody knows which one was answered
        yield address, synack.at - syns[0], synack.packet.ttl, synack.packet.ident == 0
    elif exchange.failure == "timeout":
        yield address, None, 0, False


def _opens(packet: Packet) -> bool:
    header = packet.header
    return isinstance(header, Tcp) and header.flags & (Flags.SYN | Flags.ACK) == Flags.SYN


def learn(known: Usual, lesson: Lesson, now: int) -> Usual:
    """What is usual after one more exchange; ``now``: seconds since the epoch."""
    _, round_trip, ttl, zero = lesson
    if round_trip is None:
        return msgspec.structs.replace(known, asked=known.asked + 1, at=now)
    ttls = dict(known.ttls)
    ttls[ttl] = ttls.get(ttl, 0) + 1
    ttls = dict(sorted(ttls.items(), key=lambda one: -one[1])[:_MOST_TTLS])
    typical, deviation = known.typical, known.deviation
    if known.answered:
        deviation += _BETA * (abs(round_trip - typical) - deviation)
        typical += _ALPHA * (round_trip - typical)
    else:
        typical, deviation = round_trip, round_trip / 2
    fresh = Usual(
        asked=known.asked + 1, answered=known.answered + 1, ttls=ttls, zero_idents=known.zero_idents + zero,
        least=known.fastest(max(round_trip, 0.0)), typical=max(typical, 0.0), deviation=deviation, at=now,
    )  # fmt: skip
    return fresh if fresh.answered < _ENOUGH else _halved(fresh)


def _halved(known: Usual) -> Usual:
    return msgspec.structs.replace(
        known,
        asked=known.asked // 2,
        answered=known.answered // 2,
        zero_idents=known.zero_idents // 2,
        ttls={ttl: count // 2 for ttl, count in known.ttls.items() if count > 1},
        # The way may have become longer: the least of all times must not hold for ever.
        least=(known.least + known.typical) / 2,
    )


class BaselineFile:
    """The file. What can't be read counts as nothing known; where it can't be written, nothing is kept: both without a
    word, since nothing depends on it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, now: int) -> Baseline:
        """All that is known and not too old; ``now``: seconds since the epoch."""
        try:
            with self._path.open("rb") as file:
                known = msgspec.json.decode(file.read(_MOST_BYTES), type=Baseline)
        except (OSError, msgspec.MsgspecError, RecursionError):
            return Baseline()
        return Baseline({a: usual for a, usual in known.hosts.items() if 0 <= now - usual.at <= _OLD})

    def add(self, exchanges: Iterable[Exchange], now: int) -> None:
        """Learn from a clean run. Several processes may do so at once; the file is the old or the new one, whole."""
        new = lessons(exchanges)
        if not new or not self._path.parent.is_dir():
            return
        with contextlib.suppress(OSError), self._alone():
            hosts = dict(self.load(now).hosts)
            for lesson in new:
                hosts[lesson[0]] = learn(hosts.pop(lesson[0], Usual()), lesson, now)  # the latest stand last
            self._write(Baseline(dict(list(hosts.items())[-_MOST_HOSTS:])))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else writes meanwhile. The folder is locked: the file itself is replaced."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, baseline: Baseline) -> None:
        temporary = self._path.with_name(f"{FILE}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(baseline))
            file.flush()
            os.fsync(file.fileno())
            if os.geteuid() == 0:  # a run as root must not leave a file behind that the daemon can't write
                owner = self._path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        temporary.replace(self._path)
