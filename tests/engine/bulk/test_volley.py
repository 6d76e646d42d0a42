"""A volley without a network: what is written, when it is sent again, what counts as an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from probe.engine.budget import Budget
from probe.engine.bulk.drive import alone
from probe.engine.bulk.frames import SHAPES, template
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.volley import Volley
from probe.engine.guard import Guard, networks
from probe.model.config import SafetyConfig
from probe.model.errors import CannotMeasure, ForbiddenDestination
from probe.model.packet import Tcp
from probe.wire import ip
from tests.engine.bulk.test_replies import error

OWN = 0xF123
FAR = "203.0.113.9"
ENDS = [(FAR, 443), ("203.0.113.8", 443), ("203.0.113.7", 443)]


class Wires:
    """In the place of a burst and a ring: ``left`` are the packets that were sent, ``come`` those that will come."""

    size = SHAPES[4, "tcp"].size

    def __init__(self, per_call: int = 100, broken: int = -1) -> None:
        self.buffer = bytearray(b"".join(template("tcp", "192.0.2.1", far, OWN, port) for far, port in ENDS))
        self.left: list[bytes] = []
        self.come: deque[tuple[int, bytes]] = deque()
        self._per_call, self._broken = per_call, broken

    def send(self, start: int, count: int) -> int:
        if start == self._broken:
            raise OSError(1, "Operation not permitted")
        if start <= self._broken < start + count:
            count = self._broken - start
        count = min(count, self._per_call)
        self.left += [bytes(self.buffer[i * self.size : (i + 1) * self.size]) for i in range(start, start + count)]
        return count

    def drain(self, take: Callable[[int, bytes, int, int], None]) -> int:
        count = len(self.come)
        while self.come:
            ns, raw = self.come.popleft()
            take(ns, raw, 0, len(raw))
        return count

    def dropped(self) -> int:
        return 0


def volley(wires: Wires, tag: int = 0xFFF0, rate: int = 10**6) -> Volley:
    guard = Guard(networks(["203.0.113.0/24"]))
    gate = Gate(guard, Budget(SafetyConfig(packets_per_second=10**6, target_packets_per_second=10**6)))
    held = gate.admit([far for far, _ in ENDS])
    return Volley(wires, wires, gate, "tcp", 4, OWN, ENDS, held, tag, rate, 12,  # type: ignore[arg-type]
                  stamp=lambda: 1000)  # fmt: skip


def test_what_leaves_bears_its_ttl_and_number() -> None:
    wires = Wires()
    used = volley(wires)
    alone(used.fire([(0, 3), (1, 4), (2, 5)], 0))
    alone(used.fire([(2, 9)], 1))
    packets = [ip.decode(raw) for raw in wires.left]
    far = [address for address, _ in ENDS]
    assert [(p.destination, p.ttl) for p in packets] == [(far[0], 3), (far[1], 4), (far[2], 5), (far[2], 9)]
    numbers = [p.header.sequence >> 16 for p in packets if isinstance(p.header, Tcp)]
    assert numbers == [(0xFFF0 + 3) & 0xFFFF, (0xFFF0 + 4) & 0xFFFF, (0xFFF0 + 5) & 0xFFFF, (0xFFF0 + 256 + 9) & 0xFFFF]
    assert used.packets == 4


def test_an_answer_counts_once_and_only_for_what_was_sent() -> None:
    wires = Wires()
    used = volley(wires, tag=100)
    alone(used.fire([(0, 3), (1, 4)], 0))
    expired = error(4, "tcp", 11, 0, 103)
    wires.come += [(1500, expired), (1600, expired), (1700, error(4, "tcp", 11, 0, 104)),
                   (1800, error(4, "tcp", 11, 0, 103 + 256)), (1800, error(4, "tcp", 11, 0, 99))]  # fmt: skip
    alone(used.listen(0))
    assert list(used.answers[0]) == [3]
    assert (used.answers[0][3].after, used.copies, used.slowest) == (500, 1, 500)
    assert used.answers[1] == {}
    assert used.reach == [256, 256, 256]


def test_listening_ends_with_the_last_answer_or_the_time() -> None:
    wires = Wires()
    used = volley(wires, tag=0)
    alone(used.fire([(0, 3)], 0))
    waits = list(used.listen(0.0))
    assert waits == []
    listening = used.listen(5.0)
    assert next(listening) > 0
    wires.come.append((1500, error(4, "tcp", 11, 0, 3)))
    assert list(listening) == []


def test_a_full_queue_is_waited_for_and_a_broken_far_end_passed_over() -> None:
    wires = Wires(per_call=1)
    alone(volley(wires).fire([(0, 1), (1, 1), (2, 1)], 0))
    assert len(wires.left) == 3
    wires = Wires(broken=1)
    used = volley(wires)
    alone(used.fire([(0, 1), (1, 1), (2, 1)], 0))
    alone(used.fire([(0, 2), (1, 2), (2, 2)], 1))
    assert used.errors == {1: 1}
    assert [ip.decode(raw).destination for raw in wires.left] == [FAR, "203.0.113.7"] * 2
    with pytest.raises(CannotMeasure, match="queue"):
        for _ in volley(Wires(per_call=0)).fire([(0, 1)], 0):
            pass


def test_the_rate_is_kept_between_rows() -> None:
    wires = Wires()
    used = volley(wires, rate=100)
    waits = [wait for number in range(5) for wait in used.fire([(0, number + 1)], 0)]
    assert len(waits) == 5
    assert waits[-1] > 0.03  # nobody waited, so the debt has grown to five packets' worth
    assert sum(wait > 0.005 for wait in waits) >= 4


def test_a_far_end_that_was_not_admitted_makes_no_volley() -> None:
    gate = Gate(Guard(networks(["203.0.113.0/24"])), Budget(SafetyConfig()))
    wires = Wires()
    held = gate.admit([far for far, _ in ENDS[1:]])
    with pytest.raises(ForbiddenDestination, match=FAR):
        Volley(wires, wires, gate, "tcp", 4, OWN, ENDS, held, 0, 100, 12)  # type: ignore[arg-type]
    assert wires.left == []
