"""Bulk transfers keep their size, time, pace and budget; a farewell tears nothing."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from probe.model.reflector import Transfer
from probe.reflector import channel
from probe.reflector.limits import Table
from probe.wire import tls
from probe.wire.reflector import twin


class Fake:
    """A channel that takes all at once, and brings what it was given."""

    def __init__(self, brings: int = 0) -> None:
        self.sent = bytearray()
        self.left = brings

    async def send(self, data: bytes) -> None:
        self.sent += data

    async def receive(self) -> bytes:
        size = min(self.left, 10_000)
        self.left -= size
        return b"u" * size


def roomy() -> Table:
    return Table(rate=1e9, burst=1e9, overall=1e9)


def run(
    fake: Fake, wanted: Transfer, budget: Table | None = None, *, framed: bool = False, inverted: bool = False
) -> float:
    """Seconds that a transfer took."""
    began = time.monotonic()
    budget = roomy() if budget is None else budget
    asyncio.run(channel.transfer(fake, wanted, budget, b"home", framed=framed, inverted=inverted, head=b"head"))
    return time.monotonic() - began


@pytest.mark.parametrize("kilobytes", [1, 17, 300])
def test_as_many_bytes_as_ordered(kilobytes: int) -> None:
    fake = Fake()
    run(fake, Transfer(kilobytes=kilobytes))
    assert fake.sent.startswith(b"head")
    assert len(fake.sent) == 4 + 1000 * kilobytes


def test_its_twin_is_the_same_with_every_bit_flipped() -> None:
    one, two = Fake(), Fake()
    run(one, Transfer(kilobytes=50), framed=True)
    run(two, Transfer(kilobytes=50), framed=True, inverted=True)
    assert twin(bytes(two.sent)) == bytes(one.sent)
    records = tls.records(bytes(one.sent[4:]))
    assert [record.type for record in records] == [tls.APPLICATION_DATA] * 4


@pytest.mark.parametrize(("kbits", "kilobytes", "seconds"), [(800, 10_000, 1), (80, 10_000, 1)])
def test_the_pace_and_the_time(kbits: int, kilobytes: int, seconds: int) -> None:
    fake = Fake()
    took = run(fake, Transfer(kilobytes=kilobytes, kbits=kbits, seconds=seconds))
    assert took >= 0.8 * seconds
    assert 0.2 * seconds * kbits * 125 <= len(fake.sent) <= 1.2 * seconds * kbits * 125 + 4


def test_nothing_is_faster_than_the_reflector_allows() -> None:
    fake = Fake()
    assert run(fake, Transfer(kilobytes=1000, kbits=1_000_000)) >= 0.9 * 8_000_000 / channel.RATE


@pytest.mark.parametrize(("framed", "words"), [(False, b"HTTP/1.1 429 "), (True, b"\x15\x03\x03\x00\x02")])
@pytest.mark.parametrize("inverted", [False, True])
def test_an_order_beyond_the_budget_is_refused_in_so_many_words(framed: bool, words: bytes, inverted: bool) -> None:
    budget = Table(rate=0, burst=100_000, overall=1e9)
    fake = Fake()
    run(fake, Transfer(kilobytes=101), budget, framed=framed, inverted=inverted)
    assert (twin(bytes(fake.sent)) if inverted else bytes(fake.sent)).startswith(words)
    assert len(fake.sent) < 100
    run(fake, Transfer(kilobytes=100), budget)
    assert len(fake.sent) > 100_000


def test_what_is_not_used_is_given_back() -> None:
    budget = Table(rate=0, burst=1_000_000, overall=1e9)
    run(Fake(brings=5_000), Transfer(direction="up", kilobytes=1000), budget)
    assert budget.take(b"home", time.time(), 990_000)
    assert not budget.take(b"home", time.time(), 10_000)


def test_bytes_are_taken_and_then_it_answers() -> None:
    fake = Fake(brings=100_000)
    run(fake, Transfer(direction="up", kilobytes=60))
    assert bytes(fake.sent) == b"head"
    assert 30_000 <= fake.left <= 40_000


def test_bytes_that_came_with_the_order_count() -> None:
    fake = Fake(brings=20_000)
    wanted = Transfer(direction="up", kilobytes=60)
    moving = channel.transfer(fake, wanted, roomy(), b"", framed=False, inverted=False, head=b"head", came=50_000)
    asyncio.run(moving)
    assert (bytes(fake.sent), fake.left) == (b"head", 10_000)


def test_an_upload_that_ends_early_is_answered() -> None:
    fake = Fake(brings=5_000)
    run(fake, Transfer(direction="up", kilobytes=60))
    assert bytes(fake.sent) == b"head"


@pytest.mark.loopback
def test_a_farewell_sends_no_reset() -> None:
    async def main() -> bytes:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            theirs.send(b"unread")
            leaving = asyncio.ensure_future(channel.farewell(ours))
            end = await asyncio.get_running_loop().sock_recv(theirs, 10)
            theirs.shutdown(socket.SHUT_WR)
            await leaving
            return end

    assert asyncio.run(main()) == b""


@pytest.mark.loopback
def test_a_farewell_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_FAREWELL", 0.05)

    async def main() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            ours.setblocking(False)
            await channel.farewell(ours)

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 1
