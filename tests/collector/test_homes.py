"""What the broker's log says of a probe's home: the lines of a real Mosquitto, and everything that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.homes import judge_line
from probe.collector.verdicts import Connected, Unheeded

SECRET = bytes(range(32))
LINE = "1795354640: New client connected from {} as {} (p5, c1, k60, u'{}')."


def said(line: str, secret: bytes = SECRET) -> Connected | Unheeded:
    return judge_line(line.encode(), secret)


def home(address: str, secret: bytes = SECRET) -> str:
    one = said(LINE.format(address, "p-one", "p-one"), secret)
    assert isinstance(one, Connected), address
    return one.home


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7:40000", "203.0.113.250:1", True),
        ("203.0.113.7:40000", "203.0.114.7:40000", False),
        ("2001:db8:1::1:40000", "2001:db8:1:ffff::2:40001", True),
        ("2001:db8:1::1:40000", "2001:db8:2::1:40000", False),
        ("::ffff:203.0.113.7:40000", "203.0.113.9:40000", True),
    ],
)
def test_a_home_is_a_prefix(one: str, other: str, same: bool) -> None:
    assert (home(one) == home(other)) is same


def test_the_hash_is_keyed_and_short() -> None:
    assert len(home("203.0.113.7:1")) == 16
    assert home("203.0.113.7:1") != home("203.0.113.7:1", b"another")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (LINE.format("203.0.113.7:1", "p-one", "p-one"), "p-one"),
        (LINE.format("203.0.113.7:1", "p-victim", "p-thief"), "p-thief"),  # the name that the broker has checked
        ("New client connected from 203.0.113.7:1 as p-one (p4, c0, k60)", "p-one"),
        ("2026-11-22T13:37:20: New client connected from 203.0.113.7:1 as p-one (p5, c1, k60).", "p-one"),
    ],
)
def test_who_connected(line: str, name: str) -> None:
    assert said(line) == Connected(name, home("203.0.113.7:1"))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1795354640: New connection from 203.0.113.7:48427 on port 8883.",
        "1795354641: Client p-one disconnected.",
        LINE.format("203.0.113.7", "p-one", "p-one"),
        LINE.format("home.example:1", "p-one", "p-one"),
        LINE.format("203.0.113.7:1", "collector", "collector"),
        LINE.format("203.0.113.7:1", "P ONE", "p-one"),
        LINE.format("203.0.113.7:1", "p-one (p5, c1, k60, u'p-two'). x", "p-one"),
        "x\nNew client connected from 203.0.113.7:1 as p-one (p5, c1, k60).",
        LINE.format("203.0.113.7:1", "p-one", "p-one') x"),
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert said(line) == Unheeded()


@given(st.binary() | st.text().map(lambda text: LINE.format(text, "p-one", text).encode()))
def test_nothing_that_arrives_can_raise(payload: bytes) -> None:
    assert isinstance(judge_line(payload, SECRET), Connected | Unheeded)
