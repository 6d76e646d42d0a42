"""Seats: one address can't take those of everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from probe.collector import seats
from probe.collector.seats import Seats


def asked(host: str | None) -> Request:
    return Request({"type": "http", "client": (host, 1) if host is not None else None, "headers": []})


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b": still here\n\n"


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [("198.51.100.7", "198.51.100.7", "198.51.100.8"), ("198.51.100.7", "::ffff:198.51.100.7", "198.51.100.8"),
     ("2001:db8:0:1::7", "2001:db8:0:1:ffff::", "2001:db8:0:2::7")],
)  # fmt: skip
def test_an_address_has_so_many(monkeypatch: pytest.MonkeyPatch, one: str, same: str, other: str) -> None:
    monkeypatch.setattr(seats, "AT_ONE_ADDRESS", 2)

    async def main() -> None:
        room = Seats()
        taken = [room.taken(asked(host), endless()) for host in (one, same)]
        for stream in taken:
            assert room.free(asked(one)), "nothing is taken before it begins"
            await anext(stream)
        assert not room.free(asked(one))
        assert not room.free(asked(same))
        assert room.free(asked(other))
        await taken[0].aclose()  # type: ignore[attr-defined]
        assert room.free(asked(same))
        await taken[1].aclose()  # type: ignore[attr-defined]
        assert not room._taken, "who has left is forgotten"

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "", "testclient", None])
def test_who_may_be_everybody_is_not_counted(monkeypatch: pytest.MonkeyPatch, host: str | None) -> None:
    monkeypatch.setattr(seats, "AT_ONE_ADDRESS", 0)
    assert Seats().free(asked(host))
