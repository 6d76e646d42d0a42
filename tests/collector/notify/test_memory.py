"""What was told outlives a restart; a message and the memory of it are one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from probe.collector.notify.changes import Change, News, Told
from probe.collector.notify.memory import Memory, choice
from probe.collector.notify.message import Notification
from probe.model.errors import StoreError
from tests.collector.notify.cases import NOW, row, subscription

NOTHING = News([], [], [])
CONFIG = subscription()


def message(name: str = "m1") -> Notification:
    return Notification(id=name, at="", subscription="newsroom", language="en", title="t", text="x", events=[])


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "findings.sqlite3")


@pytest.fixture
def memory(path: str) -> Iterator[Memory]:
    with closing(Memory(path)) as memory:
        yield memory


def test_told_and_due_outlive_the_process(path: str) -> None:
    with closing(Memory(path)) as memory:
        assert memory.begin(CONFIG) == (True, 0)
        memory.keep(CONFIG, NOTHING, [Change("opened", row())], [message("m1"), message("m2")], NOW)
    with closing(Memory(path)) as memory:
        assert memory.begin(CONFIG) == (False, NOW)
        assert memory.told("newsroom") == [Told(row(), NOW, sent=True)]
        first = memory.next("newsroom")
        assert first is not None
        assert (first.notification, first.queued_at, first.failures, first.next_at) == (message("m1"), NOW, 0, NOW)


def test_each_subscription_has_a_memory_and_a_queue_of_its_own(memory: Memory) -> None:
    memory.keep(CONFIG, NOTHING, [Change("opened", row())], [message()], NOW)
    assert memory.begin(subscription(name="other")) == (True, 0)
    assert memory.told("other") == []
    assert memory.next("other") is None


def test_another_choice_begins_anew_and_another_language_does_not(memory: Memory) -> None:
    memory.keep(CONFIG, NOTHING, [], [], NOW)
    assert memory.begin(subscription(language="ar", digest=1))[0] is False
    assert memory.begin(subscription(targets=["b", "a"]))[0] is True
    assert choice(subscription(targets=["b", "a"])) == choice(subscription(targets=["a", "b"]))


def test_messages_leave_in_order_and_only_when_delivered(memory: Memory) -> None:
    memory.keep(CONFIG, NOTHING, [], [message("m1"), message("m2")], NOW)
    first = memory.next("newsroom")
    assert first is not None
    memory.failed(first.seq, NOW + 5, "answered 500")
    again = memory.next("newsroom")
    assert again == msgspec.structs.replace(first, failures=1, next_at=NOW + 5)
    memory.done(first.seq)
    second = memory.next("newsroom")
    assert second is not None
    assert second.notification.id == "m2"


def test_what_is_noted_keeps_when_it_was_told(memory: Memory) -> None:
    memory.keep(CONFIG, NOTHING, [Change("opened", row("a"))], [], NOW)
    memory.keep(CONFIG, News([], [(row("b"), "a"), (row("c", target="c"), "")], []), [], [], NOW + 9)
    known = {one.row.id: (one.at, one.sent) for one in memory.told("newsroom")}
    assert known == {"b": (NOW, True), "c": (NOW + 9, False)}
    assert memory.begin(CONFIG) == (False, NOW), "a note tells nobody"


def test_what_is_forgotten_or_withdrawn_is_gone(memory: Memory) -> None:
    rows = [row(name, target=name) for name in "abc"]
    memory.keep(CONFIG, NOTHING, [Change("opened", one) for one in rows], [], NOW)
    memory.keep(CONFIG, News([], [], ["a"]), [Change("withdrawn", rows[1], "b")], [message()], NOW)
    assert [one.row.id for one in memory.told("newsroom")] == ["c"]


def test_a_transaction_that_fails_leaves_nothing_half(memory: Memory, path: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON notify_outbox BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        other.commit()
    with pytest.raises(StoreError, match="disk full"):
        memory.keep(CONFIG, NOTHING, [Change("opened", row())], [message()], NOW)
    assert memory.told("newsroom") == []
    assert memory.begin(CONFIG) == (True, 0)
