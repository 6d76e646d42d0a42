"""The boot test's own parts, where they can be tested without an emulator: what it reads of a card, table, clock."""

from __future__ import annotations

import importlib
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from probe.agent.spool import Entry, Spool

IMAGE = Path(__file__).parents[2] / "deploy/image"
START = 8192
"""Sector at which the data partition of the test's card begins."""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts of deploy/image import each other by their bare names, as when they are run."""
    monkeypatch.syspath_prepend(str(IMAGE))
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    before = set(sys.modules)
    yield
    for name in ("cache", "check", "cuts", "emulation", "outside", "release", "states", "table", "updates"):
        if name not in before:
            sys.modules.pop(name, None)


@pytest.fixture
def emulation(tools: None) -> ModuleType:
    return importlib.import_module("emulation")


def card_with(folder: Path, data: Path) -> Path:
    """A card whose fourth partition holds a folder, as ext4."""
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", data, folder / "data.ext4", "8M"], check=True)
    content = (folder / "data.ext4").read_bytes()
    table = bytearray(512)
    table[446 + 48 + 8 : 446 + 64] = struct.pack("<II", START, len(content) // 512)
    image = folder / "image"
    image.write_bytes(bytes(table).ljust(START * 512, b"\0") + content)
    return image


def test_what_lies_on_the_card_is_read_with_its_write_ahead_log(emulation: ModuleType, tmp_path: Path) -> None:
    state = tmp_path / "data/colibri"
    state.mkdir(parents=True)
    spool = Spool(state / "spool.sqlite3", 1 << 20)
    spool.add([Entry(f"id-{i}", "blackhole", "clean", b"{}", 0.0) for i in range(3)])
    work = tmp_path / "work"
    work.mkdir()
    # As a power cut finds it: the spool is open, and what it holds is in the log.
    assert (state / "spool.sqlite3-wal").stat().st_size > 0
    image = card_with(tmp_path, tmp_path / "data")
    spool.close()
    card = emulation.Card.flashed(image, tmp_path / "card")
    assert card.spool(work) == {"id-0", "id-1", "id-2"}


def test_a_card_that_holds_no_spool_holds_no_findings(emulation: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    card = emulation.Card.flashed(card_with(tmp_path, tmp_path / "data"), tmp_path / "card")
    assert card.spool(tmp_path) == set()


def test_a_damaged_data_partition_is_told(emulation: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    image = card_with(tmp_path, tmp_path / "data")
    card = emulation.Card.flashed(image, tmp_path / "card")
    with card.path.open("r+b") as file:
        file.seek(START * 512)
        file.write(b"\xff" * 65536)
    with pytest.raises(SystemExit, match="damaged"):
        card.spool(tmp_path)


def test_the_table_says_what_is_wrong(tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    table = importlib.import_module("table").Table()
    assert table.failed, "nothing asked is nothing shown"
    table.row("a", "seen", True)
    assert not table.failed
    table.row("longer", "not seen", False)
    assert table.failed
    assert table.text() == "a       ok      seen\nlonger  FAILED  not seen\n"
    assert capsys.readouterr().out == "ok      a: seen\nFAILED  longer: not seen\n"


@pytest.mark.loopback
def test_the_home_s_clock_tells_the_time(tools: None) -> None:
    outside = importlib.import_module("outside")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    threading.Thread(target=outside._tell_the_time, args=(server, lambda: 1_700_000_000.5), daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"short", server.getsockname())
        client.sendto(b"\x23".ljust(40, b"\0") + b"my stamp", server.getsockname())
        answer = client.recv(512)
    assert (len(answer), answer[0], answer[1]) == (48, 0x24, 1)
    assert answer[24:32] == b"my stamp"
    seconds, fraction = struct.unpack(">II", answer[40:])
    assert (seconds - outside.NTP_EPOCH, fraction) == (1_700_000_000, 1 << 31)


def test_versions_of_releases_come_after_the_image_s(tools: None, tmp_path: Path) -> None:
    releases = importlib.import_module("updates").Releases(tmp_path, tmp_path, "0.1.0.99", tmp_path)
    assert [releases.name(later) for later in (-1, 0, 20)] == ["0.1.0.98", "0.1.0.99", "0.1.0.119"]


def test_findings_are_read_from_the_collector_s_store(tools: None, tmp_path: Path) -> None:
    outside = importlib.import_module("outside")
    one = object.__new__(outside.Outside)
    one.folder = tmp_path
    assert one.findings() == [], "not made yet"
    with sqlite3.connect(tmp_path / "findings.sqlite3") as db:
        db.execute("CREATE TABLE findings (seq INTEGER PRIMARY KEY, id, measurement, verdict, probe, cell, at)")
        db.execute("INSERT INTO findings VALUES (1, 'x', 'blackhole', 'clean', 'p', 'c', 5)")
    db.close()
    (found,) = one.findings()
    assert found == {"id": "x", "measurement": "blackhole", "verdict": "clean", "probe": "p", "cell": "c", "at": 5}


def test_a_machine_s_clock_is_its_own(emulation: ModuleType) -> None:
    machine = object.__new__(emulation.Machine)
    machine.began = time.monotonic() - 5
    machine.log = ["[  OK  ] Started \x1b[0;1;39mcolibri.service\x1b[0m - Colibri network probe."]
    assert 5 <= machine.age < 60
    assert machine.said(importlib.import_module("cuts").READY)
    assert not machine.said("has proved itself")


def test_a_cut_s_row_says_what_was_lost_and_what_is_there_twice(tools: None) -> None:
    cuts = importlib.import_module("cuts")

    def cut(**changed: object) -> tuple[str, bool]:
        given = {"kind": "writing", "moment": "66 s", "acknowledged": {"a"}, "held": {"b"}, "doubled": 1,
                 "booted": "up after 60 s", **changed}  # fmt: skip
        seen, good = cuts.Cut(**given).row({"a", "b", "c"}, 1)
        return str(seen), bool(good)

    whole = "66 s; up after 60 s; at the collector 1, later 3; on the card 1; lost 0, doubled 0"
    assert cut() == (whole, True)
    assert cut(held={"b", "x"}) == (whole.replace("card 1; lost 0", "card 2; lost 1"), False)
    assert cut(acknowledged={"x"}) == (whole.replace("lost 0", "lost 1"), False)
    assert cut(doubled=0) == (whole.replace("doubled 0", "doubled 1"), False)
    assert cut(booted="") == (whole.replace("up after 60 s", "never came up"), False)


def test_a_run_that_is_stored_twice_is_found_under_whatever_ids(tools: None) -> None:
    cuts = importlib.import_module("cuts")
    one = {"id": "1", "probe": "p", "cell": "c", "at": 5}
    assert cuts.doubled([one, {**one, "id": "2", "at": 6}, {**one, "id": "3", "probe": "q"}]) == 0
    assert cuts.doubled([one, {**one, "id": "2"}, {**one, "id": "3"}]) == 2
    assert cuts.doubled([{**one, "at": None}, {**one, "at": None, "id": "2"}]) == 0, "without a clock none can be told"
