"""What arrived is told; what did not, only where that is known."""

from __future__ import annotations

import pytest

from probe.model.reflector import MEMORY
from probe.reflector import arrivals
from probe.reflector.arrivals import Arrivals

ONE, TWO = b"packet 1", b"packet 2"


def test_counts_and_whose() -> None:
    memory = Arrivals(0.0, complete=True)
    for source in (b"me", b"me", b"you"):
        memory.note(ONE, source, 500.0)
    answer = memory.answer(ONE + TWO, 100.0, b"me", 501.0)
    assert (answer.counts, answer.yours, answer.why) == ((3, 0), (2, 0), "")


def test_only_the_time_that_was_asked_for() -> None:
    memory = Arrivals(0.0, complete=True)
    memory.note(ONE, b"me", 500.0)
    assert memory.answer(ONE, 10.0, b"me", 505.0).counts == (1,)
    assert memory.answer(ONE, 10.0, b"me", 515.0).counts == (0,)


def test_what_is_old_is_forgotten() -> None:
    memory = Arrivals(0.0, complete=True)
    memory.note(ONE, b"me", 500.0)
    memory.note(TWO, b"me", 501.0 + MEMORY)
    assert len(memory) == 1
    assert memory.answer(ONE, MEMORY, b"me", 501.0 + MEMORY).counts == (0,)


def test_before_its_start_it_can_t_tell() -> None:
    memory = Arrivals(500.0, complete=True)
    answer = memory.answer(ONE, 60.0, b"me", 510.0)
    assert answer.counts == (-1,)
    assert "10 seconds" in answer.why
    assert memory.answer(ONE, 5.0, b"me", 510.0).counts == (0,)


def test_where_packets_went_by_unseen_it_can_t_tell() -> None:
    memory = Arrivals(0.0, complete=True)
    memory.note(ONE, b"me", 500.0)
    memory.missed(501.0)
    assert memory.answer(ONE + TWO, 10.0, b"me", 505.0).counts == (1, -1)
    assert memory.answer(TWO, 3.0, b"me", 505.0).counts == (0,)


def test_without_a_capture_it_can_t_tell() -> None:
    memory = Arrivals(0.0)
    memory.note(ONE, b"me", 500.0)
    answer = memory.answer(ONE + TWO, 10.0, b"me", 505.0)
    assert answer.counts == (1, -1)
    assert "CAP_NET_RAW" in answer.why


def test_a_flood_pushes_out_and_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MOST", 100)
    memory = Arrivals(0.0, complete=True)
    memory.note(ONE, b"me", 500.0)
    for i in range(100):
        memory.note(b"%8d" % i, b"flood", 501.0 + i / 100)
    assert len(memory) == 100
    answer = memory.answer(ONE, 10.0, b"me", 502.0)
    assert answer.counts == (-1,)
    assert memory.answer(TWO, 0.5, b"me", 502.0).counts == (0,)


def test_a_cut_question_is_answered_as_far_as_it_goes() -> None:
    memory = Arrivals(0.0, complete=True)
    assert memory.answer(ONE + b"cut", 10.0, b"me", 505.0).counts == (0,)
    assert memory.answer(b"", 10.0, b"me", 505.0).counts == ()


def test_the_same_packet_over_and_over_costs_no_more() -> None:
    memory = Arrivals(0.0, complete=True)
    for i in range(2 * arrivals.MOST):
        memory.note(ONE, b"flood", 500.0 + i / 1e6)
    assert len(memory) == arrivals.MOST
    assert memory.answer(ONE, 10.0, b"flood", 501.0).counts == (arrivals.MOST,)
