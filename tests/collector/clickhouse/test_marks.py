"""Marks: how far something has come, and which secret holds."""

from __future__ import annotations

from itertools import count

import pytest

from probe.collector.clickhouse import marks, tables
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.marks import COPIED, SWEPT, Marks

pytestmark = [pytest.mark.long, pytest.mark.loopback]


@pytest.fixture
def made(link: Link) -> Marks:
    tables.prepare(link)
    return Marks(link, count(1).__next__)


def test_the_last_word_holds_of_each_by_its_name(made: Marks, link: Link) -> None:
    assert made.get(COPIED) == 0, "not begun"
    for number in (7, 1 << 50, 9):
        made.set(COPIED, number)
    made.set(f"{SWEPT}.clean", 3)
    assert (made.get(COPIED), made.get(f"{SWEPT}.clean"), made.get(SWEPT)) == (9, 3, 0)
    assert marks.number(link, COPIED) == 9, "whoever asks"


def test_of_secrets_that_are_offered_the_first_one_holds_and_one_that_is_brought_over_all(made: Marks) -> None:
    assert made.secret() is None
    first, second, brought = bytes(range(32)), b"\xff" * 32, b"\0" * 32
    made.offer_secret(first)
    made.offer_secret(second)
    assert made.secret() == first
    made.bring_secret(brought)
    made.offer_secret(second)
    assert made.secret() == brought
