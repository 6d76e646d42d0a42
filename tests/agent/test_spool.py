"""The spool: order, bounds, corruption, and kill -9 in the middle of a write."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from probe.agent.spool import Entry, Spool
from probe.model.finding import Verdict

LARGE = 1 << 30


def entry(number: int, verdict: Verdict = "clean", size: int = 100, evidence: bytes | None = None) -> Entry:
    return Entry(f"id-{number:04}", "dns_injection", verdict, b"x" * size, float(number), evidence)


def ids(entries: list[Entry]) -> list[str]:
    return [e.id for e in entries]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.sqlite3"


def test_what_is_added_outlives_the_process_and_comes_back_whole(path: Path) -> None:
    first = Spool(path, LARGE)
    first.add([entry(1, "down", evidence=b"\x1f\x8b")])
    first.close()
    again = Spool(path, LARGE)
    assert again.pending(10, 0.0) == [entry(1, "down", evidence=b"\x1f\x8b")]
    assert again.bytes == entry(1, "down", evidence=b"\x1f\x8b").size
    again.close()


def test_a_commit_is_on_the_disk_when_it_returns(path: Path) -> None:
    """A kill can't tell (the kernel keeps what was written), a power cut can: FULL is 2 (sqlite.org/pragma.html)."""
    spool = Spool(path, LARGE)
    assert spool._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    spool.close()


def test_an_id_is_kept_once(path: Path) -> None:
    spool = Spool(path, LARGE)
    spool.add([entry(1), entry(1)])
    spool.add([entry(1, "interfered", size=5)])
    assert spool.depth == 1
    assert spool.pending(10, 0.0) == [entry(1)]
    assert spool.bytes == entry(1).size
    spool.close()


def test_the_most_valuable_go_first_then_the_oldest(path: Path) -> None:
    spool = Spool(path, LARGE)
    spool.add([entry(1), entry(2, "interfered"), entry(3, "down"), entry(4, "inconclusive"), entry(5, "interfered")])
    assert ids(spool.pending(10, 0.0)) == ["id-0002", "id-0005", "id-0003", "id-0004", "id-0001"]
    assert ids(spool.pending(2, 0.0)) == ["id-0002", "id-0005"]
    spool.close()


def test_sent_findings_wait_their_turn_and_the_unanswered_do_not_hold_up_others(path: Path) -> None:
    spool = Spool(path, LARGE)
    spool.add([entry(1, "interfered"), entry(2), entry(3)])
    spool.mark_sent(["id-0001"], at=100.0)
    assert ids(spool.pending(10, not_sent_since=99.0)) == ["id-0002", "id-0003"]
    spool.mark_sent(["id-0001", "id-0002"], at=110.0)
    assert ids(spool.pending(10, not_sent_since=120.0)) == ["id-0003", "id-0002", "id-0001"]
    spool.close()


def test_what_was_sent_is_forgotten_with_the_process(path: Path) -> None:
    spool = Spool(path, LARGE)
    spool.add([entry(1)])
    spool.mark_sent(["id-0001"], at=100.0)
    spool.close()
    again = Spool(path, LARGE)
    assert ids(again.pending(10, 0.0)) == ["id-0001"]
    again.close()


def test_removal_frees_room_and_ignores_strangers(path: Path) -> None:
    spool = Spool(path, LARGE)
    spool.add([entry(1), entry(2)])
    assert spool.remove(["id-0001", "never-seen"]) == 1
    assert ids(spool.pending(10, 0.0)) == ["id-0002"]
    assert spool.bytes == entry(2).size
    spool.close()


def test_full_it_drops_the_least_valuable_first_and_counts_them_for_good(path: Path) -> None:
    order: list[Verdict] = ["interfered", "clean", "down", "inconclusive", "clean"]
    spool = Spool(path, max_bytes=5 * entry(0).size)
    spool.add([entry(n, verdict) for n, verdict in enumerate(order)])
    assert spool.dropped == {}
    spool.add([entry(10, "interfered")])
    assert "id-0001" not in ids(spool.pending(10, 0.0))
    assert "id-0004" in ids(spool.pending(10, 0.0))
    spool.add([entry(n, "interfered") for n in (11, 12, 13)])
    assert ids(spool.pending(10, 0.0)) == ["id-0000", "id-0010", "id-0011", "id-0012", "id-0013"]
    assert spool.dropped == {"clean": 2, "inconclusive": 1, "down": 1}
    spool.add([entry(14, "interfered")])
    assert ids(spool.pending(10, 0.0)) == ["id-0010", "id-0011", "id-0012", "id-0013", "id-0014"]
    assert spool.bytes <= spool.max_bytes
    spool.close()
    again = Spool(path, LARGE)
    assert again.dropped == {"clean": 2, "inconclusive": 1, "down": 1, "interfered": 1}
    again.close()


def test_the_file_stays_near_the_size_it_is_counted_as(path: Path) -> None:
    spool = Spool(path, max_bytes=400_000)
    for start in range(0, 2000, 50):
        spool.add([entry(n, size=1500) for n in range(start, start + 50)])
    spool.close()
    assert path.stat().st_size < 2 * 400_000


def test_newest_come_oldest_first(path: Path) -> None:
    spool = Spool(path, LARGE)
    spool.add([Entry(f"i{n}", "m", "clean", str(n).encode(), 0.0) for n in range(5)])
    assert spool.newest(3) == [b"2", b"3", b"4"]
    spool.close()


@pytest.mark.parametrize("damage", ["no database at all", "torn pages"])
def test_a_corrupt_file_is_moved_aside_and_counted(path: Path, damage: str) -> None:
    first = Spool(path, LARGE)
    first.add([entry(n, size=2000) for n in range(50)])
    first.close()
    if damage == "torn pages":
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(40_000))
    else:
        path.write_bytes(b"\x00garbage" * 1000)
    damaged = path.read_bytes()
    spool = Spool(path, LARGE)
    spool.add([entry(1)])
    assert spool.depth == 1
    assert spool.corrupt == 1
    assert path.with_name(path.name + ".corrupt-1").read_bytes()[:1000] == damaged[:1000]
    spool.close()


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Spool(tmp_path / "file" / "spool.sqlite3", LARGE)


def test_a_failing_disk_is_an_os_error_and_keeps_the_count_right(path: Path) -> None:
    spool = Spool(path, LARGE)
    spool.add([entry(1)])
    with sqlite3.connect(path) as other:  # a limit of the file stands in for a full disk
        pages = other.execute("PRAGMA page_count").fetchone()[0]
    other.close()
    spool._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OSError, match="full"):
        spool.add([entry(n, size=5000) for n in range(2, 30)])
    assert spool.depth == 1
    assert spool.bytes == entry(1).size
    spool.close()


WRITER = """
import sys
from pathlib import Path
from probe.agent.spool import Entry, Spool
spool = Spool(Path(sys.argv[1]), 1 << 30)
start = spool.depth
for batch in range(100_000):
    names = [f"{start}-{batch}-{n}" for n in range(3)]
    spool.add([Entry(name, "m", "clean", b"x" * 3000, 0.0) for name in names])
    print(*names, flush=True)
"""


@pytest.mark.loopback
def test_killed_in_mid_write_it_keeps_every_batch_it_returned_for_and_no_half_batch(path: Path) -> None:
    returned: set[str] = set()
    for round_number in range(4):
        with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(5 + 17 * round_number):
                returned.update(writer.stdout.readline().split())
            writer.send_signal(signal.SIGKILL)
            returned.update(word for line in writer.stdout if line.endswith("\n") for word in line.split())
    spool = Spool(path, 1 << 30)
    kept = set(ids(spool.pending(1_000_000, 0.0)))
    assert spool.corrupt == 0
    assert returned <= kept
    assert len(kept) % 3 == 0
    assert len(kept - returned) <= 3 * 4
    spool.close()
