"""The day's count in a file: shared, forgiving, and silent where it can't be kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from probe.engine.budget import Budget
from probe.engine.counter import DayCount
from probe.model.config import SafetyConfig
from probe.model.errors import BudgetExhausted

DAY = "2026-01-01"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sent.json"


def test_a_count_outlives_the_process(path: Path) -> None:
    assert DayCount(path).load() == ("", 0)
    first = DayCount(path)
    first.load()
    first.save(DAY, 700)
    first.save(DAY, 900)
    assert DayCount(path).load() == (DAY, 900)
    assert [one.name for one in path.parent.iterdir()] == ["sent.json"]


def test_runs_side_by_side_add_up(path: Path) -> None:
    one, two = DayCount(path), DayCount(path)
    one.load()
    two.load()
    one.save(DAY, 100)
    two.save(DAY, 50)
    assert one.save(DAY, 110) == 160  # 10 more than before, and what the other has sent
    assert two.save(DAY, 150) == 160
    assert DayCount(path).load() == (DAY, 160)


def test_a_run_that_sent_nothing_changes_nothing(path: Path) -> None:
    idle = DayCount(path)
    budget = Budget(SafetyConfig(), idle.load, idle.save)
    DayCount(path).save(DAY, 100)
    budget.flush()
    assert DayCount(path).load() == (DAY, 100)


def test_a_new_day_begins_anew(path: Path) -> None:
    count = DayCount(path)
    count.save(DAY, 500)
    count.save("2026-01-02", 7)
    assert DayCount(path).load() == ("2026-01-02", 7)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"day":"2026-01-01","octets":-5}', b"\xff" * 999])
def test_a_damaged_file_counts_as_nothing_and_is_mended(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    count = DayCount(path)
    assert count.load() == ("", 0)
    count.save(DAY, 9)
    assert DayCount(path).load() == (DAY, 9)


def test_where_nothing_can_be_kept_nothing_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "such" / "folder.json", tmp_path):
        count = DayCount(path)
        assert count.load() == ("", 0)
        count.save(DAY, 9)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "sent.json").symlink_to(victim)
    DayCount(tmp_path / "sent.json").save(DAY, 9)
    assert victim.read_text() == "precious"


def test_a_daemon_and_runs_beside_it_use_one_day(path: Path) -> None:
    safety = SafetyConfig(bytes_per_day=1000)
    kept = DayCount(path), DayCount(path)
    daemon, beside = (Budget(safety, one.load, one.save) for one in kept)
    for _ in range(2):
        for budget in (daemon, beside):
            budget.flush()  # as each run does when it begins and when it ends
            budget.take("198.51.100.1", 1, 240, 0.0, DAY)
            budget.flush()
    assert beside.used == 960
    daemon.flush()
    with pytest.raises(BudgetExhausted):
        daemon.take("198.51.100.1", 1, 240, 9.0, DAY)
    daemon.take("198.51.100.1", 1, 240, 99.0, "2026-01-02")
    daemon.flush()
    beside.flush()  # still the day before
    beside.take("198.51.100.1", 1, 100, 99.0, "2026-01-02")
    assert beside.used == 340  # the new day began with what the daemon has sent on it


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_run_as_root_leaves_the_file_to_the_folders_owner(tmp_path: Path) -> None:
    try:
        os.chown(tmp_path, 1, 1)
    except OSError:
        pytest.skip("no other user in this namespace")
    DayCount(tmp_path / "sent.json").save(DAY, 9)
    made = (tmp_path / "sent.json").stat()
    assert (made.st_uid, made.st_gid) == (1, 1)


def test_a_budget_is_not_fresh_for_each_run(path: Path) -> None:
    safety = SafetyConfig(bytes_per_day=1000)
    for _ in range(2):
        count = DayCount(path)
        budget = Budget(safety, count.load, count.save)
        budget.take("198.51.100.1", 1, 400, 0.0, DAY)
        budget.flush()
    count = DayCount(path)
    with pytest.raises(BudgetExhausted):
        Budget(safety, count.load, count.save).take("198.51.100.1", 1, 400, 0.0, DAY)
