"""Which of the two systems on the card starts: ``slot.txt`` and ``trial`` on the boot partition.

The firmware includes ``slot.txt`` (``os_prefix=A/``). ``trial`` is one letter: ``A`` or ``B`` a slot that is to be
tried and never was started, ``a`` or ``b`` one that was started and has not proved itself
(deploy/image/initramfs/trial.sh has then put the other one back already), ``-`` none. Both are one sector and are
written in place, so a power cut leaves the old one or the new one; the order of the writes makes every state between
them one that starts a whole system.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from probe.model.errors import ConfigError

Slot = Literal["A", "B"]
OTHER: dict[Slot, Slot] = {"A": "B", "B": "A"}
SLOTS: dict[str, Slot] = {"A": "A", "B": "B"}


def slot_of(text: str) -> Slot:
    """The slot of that name. Raises ConfigError for any other text."""
    try:
        return SLOTS[text]
    except KeyError:
        raise ConfigError("slot", f"there are A and B, and no {text!r}") from None


def running(command_line: str) -> Slot:
    """The slot that the kernel's command line says was started. Raises ConfigError where it says nothing."""
    found = re.search(r"(?:^|\s)rauc\.slot=([AB])(?:\s|$)", command_line)
    if found is None:
        raise ConfigError("/proc/cmdline", "names no slot: this is not the image")
    return SLOTS[found[1]]


def _in_place(path: Path, text: str) -> None:
    """Overwrite the beginning of a file that stays as long as it was (one sector), and wait until it is on the card."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, text.encode(), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Slots:
    """The two files below ``folder``, as the slot ``current`` sees them."""

    def __init__(self, folder: Path, current: Slot) -> None:
        self._slot, self._trial, self.current = folder / "slot.txt", folder / "trial", current

    def primary(self) -> Slot:
        """The slot that starts next. Raises ConfigError for a file that names none, OSError where there is none."""
        found = re.match(r"os_prefix=([AB])/", self._slot.read_text(errors="replace"))
        if found is None:
            raise ConfigError(str(self._slot), "names no slot")
        return SLOTS[found[1]]

    def trial(self) -> str:
        """The letter: ``A B a b`` or ``-``; ``-`` where there is no file."""
        try:
            return self._trial.read_text(errors="replace")[:1] or "-"
        except FileNotFoundError:
            return "-"

    def start_next(self, slot: Slot) -> None:
        """Let ``slot`` start next: on trial if it is the other one, for good if it is the one that runs.

        The trial is announced first: cut between the two, the present slot starts, which is not the one on trial.
        """
        _in_place(self._trial, "-\n" if slot == self.current else f"{slot}\n")
        _in_place(self._slot, f"os_prefix={slot}/\n")

    def commit(self) -> bool:
        """The running slot has proved itself. Returns whether anything had to be written.

        The slot goes first: cut between the two, it starts again, its trial is over, and nothing tries it once more.
        """
        try:
            if self.primary() == self.current and self.trial() == "-":
                return False
        except (ConfigError, FileNotFoundError):
            pass  # damaged or lost: written anew
        _in_place(self._slot, f"os_prefix={self.current}/\n")
        _in_place(self._trial, "-\n")
        return True

    def failed(self) -> Slot | None:
        """The slot that was tried and did not prove itself, if the other one runs because of that."""
        other = OTHER[self.current]
        return other if self.trial() == other.lower() else None
