"""Many more moments of a cut than there is time to start a device after: from one log of writes (cache.py) cards are
made as each of these moments would leave them, and looked at as the next start finds them.

What looks are the device's own parts: the boot partition's slot and boot files as the firmware reads them, e2fsck, the
service that turns the card's files into settings, the daemon's certificate and spool.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

from cache import Writes
from check import partition
from cuts import READY
from emulation import Card, Machine
from outside import Outside
from table import Table
from updates import GOOD, PATIENCE, Releases

from probe.agent.enrol_files import EnrolFiles
from probe.agent.spool import Spool
from probe.appliance.firstboot import run
from probe.appliance.places import Places
from probe.model.errors import ColibriError

SLOTS = {"A": 2, "B": 3}
"""Their partitions."""
CARD = ("colibri.toml", "targets.toml", "COLIBRI-STATUS.txt", "slot.txt", "trial")
AWAY = 150.0
"""Seconds for which no collector answers, once the daemon runs: some findings go to the card."""


def root_hash(card: Path, slot: str) -> str:
    """SHA-256 of the squashfs in a slot, as long as its superblock says (``bytes_used``, at byte 40)."""
    begin, most = partition(card, SLOTS[slot])
    digest = hashlib.sha256()
    with card.open("rb") as file:
        file.seek(begin + 40)
        left = min(int.from_bytes(file.read(8), "little"), most)
        file.seek(begin)
        while left > 0:
            digest.update(block := file.read(min(1 << 20, left)))
            left -= len(block)
    return digest.hexdigest()


class Look:
    """What a card has to be like. ``whole``: cards of which the slots named with them hold what they should."""

    def __init__(self, folder: Path, whole: dict[str, Card]) -> None:
        self._folder = folder
        self._roots = {slot: root_hash(card.path, slot) for slot, card in whole.items()}
        _, kernel, initrd = next(iter(whole.values())).firmware(folder)
        self._boot = kernel.read_bytes(), initrd.read_bytes()
        self.findings: set[str] = set()
        self.slots: set[str] = set()

    def faults(self, card: Card) -> list[str]:
        """What is wrong with a card; empty: nothing. Notes the slot that starts, and the findings that wait."""
        try:
            return [*self._start(card), *self._settings(card)]
        except (SystemExit, ColibriError, LookupError, OSError, ValueError) as error:
            return [f"{type(error).__name__}: {error}"]

    def _start(self, card: Card) -> list[str]:
        line, kernel, initrd = card.firmware(self._folder)
        slot = line.partition("rauc.slot=")[2][:1]
        self.slots.add(slot)
        found = []
        if (kernel.read_bytes(), initrd.read_bytes()) != self._boot:
            found.append(f"slot {slot}: kernel or initramfs is not whole")
        if root_hash(card.path, slot) != self._roots.get(slot):
            found.append(f"slot {slot}: its root is not whole")
        return found

    def _settings(self, card: Card) -> list[str]:
        """The next start's first service, on copies of what it finds, and what the daemon begins with."""
        work = self._folder / "state"
        shutil.rmtree(work, ignore_errors=True)
        names = ("card", "data", "etc", "run", "release", "marks")
        places = Places(**{name: work / name for name in names})
        for name in names:
            (work / name).mkdir(parents=True)
        for name in CARD:
            (places.card / name).write_bytes(card.read(name))
        card.data(places.data)
        report = run(places, "rauc.slot=A")
        found = [f"{one.file}: {one.kind} {one.where} {one.what}" for one in report.mistakes]
        settings = tomllib.loads((places.etc / "colibri/colibri.toml").read_text())
        state = places.data / "colibri"
        code = str(settings.get("enrol", {}).get("code", ""))
        if EnrolFiles(state).membership is None and not code.strip("*"):
            found.append("neither a certificate nor the code for one")
        if not (places.data / "ssh/ssh_host_ed25519_key").stat().st_size:
            found.append("an empty host key")
        spool = Spool(state / "spool.sqlite3", 1 << 30)
        if spool.corrupt:
            found.append("the spool is corrupt")
        self.findings |= {one.id for one in spool.pending(1 << 20, 0.0)}
        spool.close()
        return found


def states(
    table: Table, name: str, folder: Path, before: Card, log: Path, look: Look, count: int, chance: random.Random
) -> None:
    """A row for ``count`` moments of the log. ``before``: the card when the log began."""
    writes = Writes(log)
    bad: list[str] = []
    look.slots.clear()
    look.findings.clear()
    for number in range(count):
        copy = before.copy(folder / "state.img")
        writes.replay(copy.path, chance.randrange(len(writes.entries) + 1), chance)
        bad += [f"{number}: {fault}" for fault in look.faults(copy)]
        copy.path.unlink()
    slots = "/".join(sorted(look.slots))
    seen = (
        f"{len(bad)} faults in {count} cards of {len(writes.entries)} writes and flushes; slot {slots} starts;"
        f" {len(look.findings)} findings wait on some{''.join(f'; {one}' for one in bad[:3])}"
    )
    table.row(f"cut at any moment: {name}", seen, not bad)


def any_moment(
    table: Table, fresh: Callable[[], Card], outside: Outside, releases: Releases, count: int, seed: int
) -> None:
    """``count`` cards each of a first start, an update, and a time without a collector. ``fresh``: a new card."""
    chance, folder = random.Random(seed), outside.folder
    bundle, card, log = releases.build(GOOD), fresh(), folder / "writes.log"
    whole = {"A": card.copy(folder / "whole.img")}

    def logged(name: str, until: Callable[[Machine], None]) -> None:
        before = card.copy(folder / "before.img")
        machine = Machine(card, outside, log=log)
        until(machine)
        machine.cut()
        if name == "update":
            whole["B"] = card
        states(table, name, folder, before, log, Look(folder, whole), count, chance)
        log.unlink()

    def measured(machine: Machine) -> None:
        machine.wait(lambda: bool(outside.findings()), PATIENCE)

    def away(machine: Machine) -> None:
        machine.wait(lambda: machine.said(READY), PATIENCE)
        outside.pause(stopped=True)
        machine.wait(lambda: False, AWAY)
        outside.pause(stopped=False)

    def update(machine: Machine) -> None:
        releases.publish(bundle, GOOD)
        outside.login(lambda: machine.runs)
        outside.ssh("sudo systemctl start --no-block colibri-update", PATIENCE)
        machine.wait(lambda: not machine.runs, PATIENCE)

    for name, until in (("first start", measured), ("collector away", away), ("update", update)):
        logged(name, until)
