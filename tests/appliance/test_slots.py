"""Which system starts: every order of writes, and every power cut between them, leaves one that does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.slots import OTHER, Slot, Slots, running, slot_of
from probe.model.errors import ConfigError

TRIAL = Path(__file__).parents[2] / "deploy/image/initramfs/trial.sh"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    (tmp_path / "slot.txt").write_text("os_prefix=A/\n")
    (tmp_path / "trial").write_text("-\n")
    return tmp_path


def start(card: Path) -> Slot:
    """What firmware and initramfs do: read the slot, end the credit of one on trial."""
    slot = Slots(card, "A").primary()
    subprocess.run(["sh", "-c", '. "$0"; disarm "$1" "$2"', TRIAL, card, slot], check=False, timeout=20)
    return slot


def test_a_new_system_that_proves_itself_stays(card: Path) -> None:
    Slots(card, "A").start_next("B")
    assert start(card) == "B"
    slots = Slots(card, "B")
    assert slots.primary() == "A", "whatever stops it now, the old one starts next"
    assert slots.commit()
    assert not slots.commit(), "nothing is written twice"
    assert (start(card), start(card)) == ("B", "B")
    assert slots.failed() is None


def test_a_new_system_that_does_not_makes_room(card: Path) -> None:
    Slots(card, "A").start_next("B")
    assert (start(card), start(card), start(card)) == ("B", "A", "A")
    assert Slots(card, "A").failed() == "B"
    Slots(card, "A").commit()
    assert Slots(card, "A").failed() is None


@pytest.mark.parametrize("current", ["A", "B"])
@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_cut_between_the_writes_of_a_change(card: Path, current: Slot, writes: int) -> None:
    (card / "slot.txt").write_text(f"os_prefix={current}/\n")
    with pytest.MonkeyPatch.context() as patch:
        left = [writes]

        def cut(path: Path, text: str, write: object = None) -> None:
            if left[0]:
                left[0] -= 1
                path.write_text(text)

        patch.setattr("probe.appliance.slots._in_place", cut)
        Slots(card, current).start_next(OTHER[current])
    first = start(card)
    assert first == (OTHER[current] if writes == 2 else current)
    assert start(card) == current, "one on trial gets one start"


@pytest.mark.parametrize("done", [0, 1])
def test_a_cut_in_the_initramfs(card: Path, done: int) -> None:
    Slots(card, "A").start_next("B")
    if done:  # slot.txt was put back, the mark was not set
        (card / "slot.txt").write_text("os_prefix=A/\n")
    assert start(card) == ("A" if done else "B")
    assert start(card) == "A"


def test_the_files_never_change_their_size(card: Path) -> None:
    before = [(card / name).stat().st_size for name in ("slot.txt", "trial")]
    Slots(card, "A").start_next("B")
    start(card)
    Slots(card, "B").commit()
    assert [(card / name).stat().st_size for name in ("slot.txt", "trial")] == before


@pytest.mark.parametrize(("line", "slot"), [("quiet rauc.slot=B x", "B"), ("rauc.slot=A", "A")])
def test_the_running_slot_is_the_kernel_s_word(line: str, slot: Slot) -> None:
    assert running(line) == slot


@pytest.mark.parametrize("line", ["", "rauc.slot=C", "xrauc.slot=A", "rauc.slot=AB"])
def test_another_kernel_line_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="names no slot"):
        running(line)


@given(st.binary(max_size=40))
def test_damaged_files_are_named(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("card")
    (folder / "slot.txt").write_bytes(junk)
    (folder / "trial").write_bytes(junk)
    if junk[:11] not in (b"os_prefix=A", b"os_prefix=B"):
        with pytest.raises(ConfigError, match=r"slot\.txt: names no slot"):
            Slots(folder, "A").primary()
    Slots(folder, "B").commit()
    assert (Slots(folder, "B").primary(), Slots(folder, "B").trial()) == ("B", "-")


def test_other_names_are_no_slots() -> None:
    with pytest.raises(ConfigError, match="there are A and B"):
        slot_of("C")
