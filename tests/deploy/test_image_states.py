"""The look at a card that was cut at any moment, on a small card: what it must find, and that a whole one is whole."""

from __future__ import annotations

import importlib
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from probe.agent.spool import Entry, Spool
from probe.appliance.firstboot import run
from probe.appliance.places import Places

IMAGE = Path(__file__).parents[2] / "deploy/image"
MIB = 1 << 20
PARTS = ((4, 4), (8, 1), (9, 1), (10, 8))
"""Begin and length of the four partitions, MiB."""
CODE = '[enrol]\nserver = "https://192.0.2.1:8444"\ncode = "ABCD-EFGH"\n'


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(IMAGE))
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    before = set(sys.modules)
    yield importlib.import_module("states")
    for name in ("cache", "check", "cuts", "emulation", "outside", "release", "states", "table", "updates"):
        if name not in before:
            sys.modules.pop(name, None)


def boot_partition(folder: Path, card: Path) -> Path:
    """A FAT with two slots' boot files and what a volunteer wrote."""
    path = folder / "boot.vfat"
    path.write_bytes(bytes(4 * MIB))
    subprocess.run(["mkfs.vfat", "-n", "COLIBRI", path], check=True, capture_output=True)
    (card / "config.txt").write_text("kernel=vmlinuz\ninitramfs initrd.img followkernel\ninclude slot.txt\n")
    for slot in "AB":
        (card / slot).mkdir()
        (card / slot / "vmlinuz").write_bytes(b"kernel")
        (card / slot / "initrd.img").write_bytes(b"initrd")
        (card / slot / "cmdline.txt").write_text(f"rauc.slot={slot}\n")
    for one in sorted(card.iterdir()):
        subprocess.run(["mcopy", "-s", "-i", path, one, "::"], check=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
    return path


@pytest.fixture
def image(tmp_path: Path, states: ModuleType) -> Path:
    """A card after its first start: two slots with a root each, a finding that waits."""
    names = ("card", "data", "etc", "run", "release", "marks")
    places = Places(**{name: tmp_path / "home" / name for name in names})
    for name in names:
        (tmp_path / "home" / name).mkdir(parents=True)
    for name, text in (("colibri.toml", CODE), ("targets.toml", ""), ("slot.txt", "os_prefix=A/\n"), ("trial", "-\n")):
        (places.card / name).write_text(text)
    run(places, "rauc.slot=A")
    spool = Spool(places.data / "colibri/spool.sqlite3", MIB)
    spool.add([Entry("one", "blackhole", "clean", b"{}", 0.0)])
    spool.close()
    fat, ext4 = boot_partition(tmp_path, places.card), tmp_path / "data.ext4"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", places.data, ext4, "8M"], check=True)
    table = bytearray(512)
    whole = bytearray(18 * MIB)
    root = b"hsqs".ljust(40, b"\0") + struct.pack("<Q", 4096) + b"root" * 2000
    contents = (fat.read_bytes(), root, root, ext4.read_bytes())
    for i, ((begin, length), data) in enumerate(zip(PARTS, contents, strict=True)):
        table[446 + 16 * i + 8 : 446 + 16 * i + 16] = struct.pack("<II", begin * 2048, length * 2048)
        whole[begin * MIB : begin * MIB + len(data)] = data
    whole[:512] = table
    path = tmp_path / "image"
    path.write_bytes(whole)
    return path


def spoil(at: int, data: bytes) -> Callable[[Any], None]:
    def do(card: Any) -> None:
        with card.path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    return do


def replace(name: str, content: str) -> Callable[[Any], None]:
    return lambda card: card.write(name, content)


def test_a_whole_card_has_no_faults(states: ModuleType, image: Path, tmp_path: Path) -> None:
    card = states.Card(image).copy(tmp_path / "cut.img")
    look = states.Look(tmp_path, {"A": states.Card(image)})
    assert look.faults(card) == []
    assert (look.slots, look.findings) == ({"A"}, {"one"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil(8 * MIB + 100, b"x"), "slot A: its root is not whole"),
        (spoil(10 * MIB, b"\xff" * 65536), "the data partition is damaged"),
        (replace("slot.txt", "os_prefix=B/\n"), "slot B: its root is not whole"),
        (replace("slot.txt", "\0" * 13), "KeyError"),
        (replace("A/vmlinuz", "kern"), "slot A: kernel or initramfs is not whole"),
        (replace("colibri.toml", "[enrol"), "colibri.toml: unreadable"),
        (replace("colibri.toml", "[line]\ncountry = 'MA'\n"), "neither a certificate nor the code for one"),
    ],
)  # fmt: skip
def test_what_a_cut_must_not_leave_is_found(
    states: ModuleType, image: Path, tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    card = states.Card(image).copy(tmp_path / "cut.img")
    look = states.Look(tmp_path, {"A": states.Card(image)})
    change(card)
    assert words in " ".join(look.faults(card))


def test_a_slot_that_was_written_whole_may_start(states: ModuleType, image: Path, tmp_path: Path) -> None:
    card = states.Card(image).copy(tmp_path / "cut.img")
    card.write("slot.txt", "os_prefix=B/\n")
    look = states.Look(tmp_path, {"A": states.Card(image), "B": states.Card(image)})
    assert look.faults(card) == []
    assert look.slots == {"B"}
