"""The page's code: made once, forgiving to people, and not to be guessed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from probe.agent.page_code import FREE, LENGTH, LETTERS, REFILL, Turnstile, code, plain


def test_it_is_made_once_and_only_its_group_may_read_it(tmp_path: Path) -> None:
    made = code(tmp_path / "state/page-code")
    assert code(tmp_path / "state/page-code") == made
    assert len(plain(made)) == LENGTH
    assert set(plain(made)) <= set(LETTERS)
    assert (tmp_path / "state/page-code").stat().st_mode & 0o7777 == 0o640 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_one_that_a_person_wrote_is_kept(tmp_path: Path) -> None:
    (tmp_path / "code").write_text(" my own code \n")
    assert code(tmp_path / "code") == "my own code"


def test_an_empty_file_gets_a_code(tmp_path: Path) -> None:
    (tmp_path / "code").touch()
    assert len(plain(code(tmp_path / "code"))) == LENGTH


def test_every_letter_is_as_likely(tmp_path: Path) -> None:
    """By all bytes in turn: 252 of them make each of 28 letters 9 times, the others make none."""
    counted: Counter[str] = Counter()
    for first in range(0, 256, LENGTH):
        block = bytes(range(first, first + LENGTH))
        (tmp_path / "code").unlink(missing_ok=True)
        made = plain(code(tmp_path / "code", lambda _, block=block: block + b"\x00" * LENGTH))  # type: ignore[misc]
        counted.update(made[: sum(byte < 252 for byte in block)])
    assert set(counted.values()) == {9}
    assert set(counted) == set(LETTERS)


@pytest.mark.parametrize("given", ["K7QM-3XWD", "k7qm3xwd", " k7qm 3xwd ", "K-7-Q-M-3-X-W-D"])
def test_people_write_it_as_they_like(given: str) -> None:
    assert Turnstile().passes(given, "K7QM-3XWD", "192.168.1.2")


@pytest.mark.parametrize("given", ["", "-", "K7QM-3XW", "K7QM-3XWDD", "К7QM-3XWD", "\x00"])
def test_another_one_does_not_pass(given: str) -> None:
    assert not Turnstile().passes(given, "K7QM-3XWD", "192.168.1.2")


def test_no_code_is_passed_by_none() -> None:
    assert not Turnstile().passes("", "", "192.168.1.2")


def test_whoever_guesses_waits_and_others_do_not() -> None:
    now = 0.0
    turnstile = Turnstile(lambda: now)
    for _ in range(FREE):
        assert turnstile.wait("192.168.1.2") == 0
        assert not turnstile.passes("wrong", "RIGHT", "192.168.1.2")
    assert turnstile.wait("192.168.1.2") == pytest.approx(REFILL)
    assert turnstile.wait("192.168.1.3") == 0
    now = REFILL + 0.1
    assert turnstile.wait("192.168.1.2") == 0
    assert turnstile.passes("RIGHT", "RIGHT", "192.168.1.2")
    assert turnstile.wait("192.168.1.2") == 0


def test_one_with_many_addresses_waits_too() -> None:
    now = 0.0
    turnstile = Turnstile(lambda: now)
    guesses = 0
    while turnstile.wait(source := f"fe80::{guesses:x}") == 0:
        turnstile.passes("wrong", "RIGHT", source)
        guesses += 1
    assert guesses <= 30
    for _ in range(24 * 60):
        now += 60
        while turnstile.wait(source := f"fe80::{guesses:x}") == 0:
            turnstile.passes("wrong", "RIGHT", source)
            guesses += 1
    # Half of all codes take it more than 40,000 years.
    assert guesses * 365 * 40_000 < len(LETTERS) ** LENGTH / 2


def test_remembering_addresses_takes_no_more_room_than_it_may() -> None:
    turnstile = Turnstile(lambda: 0.0)
    for number in range(1000):
        turnstile.passes("wrong", "RIGHT", f"10.0.{number >> 8}.{number & 255}")
    assert len(turnstile._sources) <= 256
