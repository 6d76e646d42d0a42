"""Of an update, what the running system holds need not come over the line; whatever is wrong, nothing wrong is made."""

from __future__ import annotations

import functools
import hashlib
import random
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.pieces import LONGEST, MARK, Slot, assemble, cut, index, read_index, running_device
from probe.model.errors import CannotMeasure
from tests.scripts import load

MARKED = b"\xa5\x5a"


def squashfs(content: bytes) -> bytes:
    """What :class:`Slot` looks at of one: magic, length, padding to 4 KiB."""
    used = 96 + len(content)
    whole = b"hsqs" + bytes(36) + used.to_bytes(8, "little") + bytes(48) + content
    return whole.ljust(-(-used // 4096) * 4096, b"\0")


def noise(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


@given(st.lists(st.one_of(st.just(MARKED), st.binary(max_size=40))).map(b"".join))
def test_pieces_are_the_whole_and_end_behind_marks(data: bytes) -> None:
    pieces = [data[begin:end] for begin, end in cut(data)]
    assert b"".join(pieces) == data
    assert all(pieces)
    assert all(MARK.search(piece[:-1]) is None for piece in pieces)
    assert [one.length for one in read_index(index(data), len(data))] == [len(piece) for piece in pieces]


def test_no_piece_is_longer_than_a_megabyte() -> None:
    assert {end - begin for begin, end in cut(bytes(3 * LONGEST))} == {LONGEST}


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_a_list_of_something_else_is_refused(listed: bytes, length: int) -> None:
    try:
        pieces = read_index(listed, length)
    except CannotMeasure:
        return
    assert sum(one.length for one in pieces) == length


class Served:
    """A bundle behind a web server, and what was asked of it."""

    def __init__(self, folder: Path, handler: Any) -> None:
        self.folder, self.handler = folder, handler
        folder.mkdir()

    def bring(self, new: bytes, slot: bytes, part: bytes = b"") -> tuple[int, bytes]:
        (self.folder / "bundle").write_bytes(new)
        device, path = self.folder / "device", self.folder / "part"
        device.write_bytes(slot)
        path.write_bytes(part)
        handler = functools.partial(self.handler, directory=str(self.folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
            thread = threading.Thread(target=listening.serve_forever)
            thread.start()
            held = Slot(device)
            try:
                url = f"http://127.0.0.1:{listening.server_port}/bundle"
                return assemble(url, path, read_index(index(new), len(new)), held), path.read_bytes()
            finally:
                held.close()
                listening.shutdown()
                thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path / "served", load("image/web").Ranges)


@pytest.mark.loopback
def test_what_the_slot_holds_is_not_fetched(served: Served) -> None:
    old = squashfs(noise(1, 4_000_000))
    new = b"a bundle's head" + old[:1_000_000] + noise(2, 30_000) + old[1_000_000:3_000_000] + b"signature"
    fetched, made = served.bring(new, old + bytes(1 << 20))
    assert made == new
    assert 30_000 <= fetched < 1_000_000, "not much more than what is new"


@pytest.mark.loopback
def test_a_slot_that_holds_nothing_of_it_costs_the_whole(served: Served) -> None:
    new = noise(3, 500_000)
    assert served.bring(new, squashfs(noise(4, 500_000))) == (500_000, new)


@pytest.mark.loopback
@pytest.mark.parametrize("part", [0, 200_000, 500_000], ids=str)
def test_a_part_from_before_stays_as_far_as_it_is_right(served: Served, part: int) -> None:
    new = noise(5, 500_000)
    fetched, made = served.bring(new, squashfs(b""), new[:part] + b"torn")
    assert made == new
    assert fetched <= 500_000 - part + 400_000 * (part == 200_000)
    assert (fetched == 0) == (part == 500_000)


@pytest.mark.loopback
def test_a_server_with_something_else_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    new = noise(6, 300_000)
    listed = index(new[:-1] + b"?")
    monkeypatch.setattr("tests.appliance.test_pieces.index", lambda _: listed)
    with pytest.raises(CannotMeasure, match="something else than was announced"):
        served.bring(new, squashfs(b""))


def test_a_device_without_a_squashfs_is_no_help(tmp_path: Path) -> None:
    (tmp_path / "device").write_bytes(bytes(4096))
    with pytest.raises(ValueError, match="holds no squashfs"):
        Slot(tmp_path / "device")


def test_the_running_slot_is_what_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(
        "23 1 0:21 / / rw - overlay overlay rw\n"
        "30 23 254:3 / /run/appliance/ro ro,relatime shared:5 - squashfs /dev/vda3 ro\n"
    )
    assert running_device(tmp_path / "mountinfo") == Path("/dev/vda3")
    with pytest.raises(FileNotFoundError):
        running_device(tmp_path / "mountinfo", "/elsewhere")


def test_a_piece_is_found_by_its_hash(tmp_path: Path) -> None:
    data = squashfs(b"x" + MARKED + b"yz" + MARKED + b"rest")
    (tmp_path / "device").write_bytes(data)
    slot = Slot(tmp_path / "device")
    wanted = hashlib.sha256(b"yz" + MARKED).digest()
    assert wanted in slot
    assert slot.get(wanted) == b"yz" + MARKED
    assert slot.get(bytes(32)) is None
    slot.close()
