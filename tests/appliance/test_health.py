"""When an updated system may stay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from probe.appliance.health import LIMIT, lacking, limit_of, wait_until_healthy
from probe.model.errors import CannotMeasure

WELL: dict[str, Any] = {
    "stalled": [], "feed": {"host": "h", "connected": True, "trouble": ""}, "counts": {"clean": 1}, "planned": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"stalled": ["publisher"]}, ["stuck: publisher"]),
        ({"feed": {"host": "h", "connected": False, "trouble": "refused"}}, ["the broker is not reached (refused)"]),
        ({"feed": {"host": "", "connected": False, "trouble": ""}}, []),
        ({"counts": {}}, ["nothing was measured yet"]),
        ({"counts": {"failed": 9}}, ["nothing was measured yet"]),
        ({"counts": {}, "planned": 0}, []),
    ],
)
def test_what_is_lacking(change: dict[str, Any], said: list[str]) -> None:
    assert lacking(WELL | change) == said


def wait(accounts: list[dict[str, Any] | OSError], limit: float = 10.0) -> list[str]:
    said: list[str] = []
    now = [0.0]

    async def account() -> dict[str, Any]:
        now[0] += 1
        one = accounts.pop(0) if len(accounts) > 1 else accounts[0]
        if isinstance(one, OSError):
            raise one
        return one

    asyncio.run(wait_until_healthy(account, said.append, limit, 0, lambda: now[0]))
    return said


def test_it_waits_until_all_is_well_and_says_each_lack_once() -> None:
    refused = OSError(111, "Connection refused")
    assert wait([refused, refused, WELL | {"counts": {}}, WELL]) == [
        "the daemon does not answer (Connection refused)", "nothing was measured yet",
    ]  # fmt: skip


def test_it_gives_up_in_time() -> None:
    with pytest.raises(CannotMeasure, match="not healthy after 10 s: nothing was measured yet"):
        wait([WELL | {"counts": {}}])


@pytest.mark.parametrize(("line", "limit"), [("x colibri.trial=150 y", 150.0), ("colibri.trial=x", LIMIT), ("", LIMIT)])
def test_a_test_may_shorten_the_trial(line: str, limit: float) -> None:
    assert limit_of(line) == limit
