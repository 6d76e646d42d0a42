"""The boot test's power cuts: the plug is pulled at random moments, and then all must be there.

What is looked for after each cut is on the card itself (the findings that its data partition holds) and at the
collector (those that it has acknowledged). All of them must be at the collector in the end, once each; and whatever was
cut, a later start must come up. The card has a cache of its own that forgets (cache.py).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice

import msgspec
from cache import Writes
from emulation import Card, Machine
from outside import Outside
from table import Table
from updates import GOOD, PATIENCE, Releases

UP, UPDATE = 900.0, 90.0
"""Seconds that a start may take on a busy machine; in which an update is fetched and installed."""
KINDS = ("first start", "starting", "starting", "measuring", "starting", "collector away", "starting", "updating",
         "starting", "writing")  # fmt: skip
"""What goes on at a cut. "First start" is that of a fresh card; the others follow on the same card: "starting" is the
start after the cut before, which is cut again. "Collector away": findings go to the card after some 30 s. "Writing":
likewise, and cut within 30 ms after something was written."""
USUAL = 120.0
"""Seconds that a start takes, until one was seen."""
READY = r"(Started|Reloaded) .*colibri\.service"
LATER = 100
"""How much later than the image the releases are numbered that are updated to while the plug is pulled."""


class Cut(msgspec.Struct):
    """One cut, and what came of it. ``acknowledged``: ids at the collector at that moment; ``held``: on the card."""

    kind: str
    moment: str
    acknowledged: set[str]
    held: set[str]
    doubled: int
    booted: str = ""

    def row(self, now: set[str], doubled: int) -> tuple[str, bool]:
        """In words, and whether all is well, given the ids that are at the collector later, and how many runs are there
        twice by then."""
        lost = len((self.acknowledged | self.held) - now)
        twice = doubled - self.doubled
        seen = (
            f"{self.moment}; {self.booted or 'never came up'}; at the collector {len(self.acknowledged)}, later"
            f" {len(now)}; on the card {len(self.held)}; lost {lost}, doubled {twice}"
        )
        return seen, bool(self.booted) and not lost and not twice


def doubled(findings: list[dict[str, object]]) -> int:
    """How many runs of a probe the collector holds more than once, under whatever ids."""
    runs = Counter((one["probe"], one["cell"], one["at"]) for one in findings if one["at"])
    return sum(times - 1 for times in runs.values())


class Series:
    """Cuts of one card after the other."""

    def __init__(
        self, table: Table, outside: Outside, releases: Releases, fresh: Callable[[], Card], seed: int
    ) -> None:
        self._table, self._outside, self._releases, self._fresh = table, outside, releases, fresh
        self._chance = random.Random(seed)
        self._bundle = releases.build(GOOD)
        self._later = LATER
        self._open: list[Cut] = []
        self._card = fresh()
        self._number = 0
        self._usual = USUAL

    def cut(self, kind: str) -> None:
        """Start, let it come to that moment, cut, and look at the card."""
        if kind == KINDS[0]:
            self.settle()
            self._card = self._fresh()
        folder = self._outside.folder
        before, log = self._card.copy(folder / "before.img").path, folder / "writes.log"
        self._outside.pause(stopped=kind in ("collector away", "writing"))
        machine = Machine(self._card, self._outside, log=log)
        what = self._until(machine, kind)
        ended = "" if machine.runs else ", between two starts"
        machine.cut()
        self._outside.pause(stopped=False)
        writes = Writes(log)
        there, lost = writes.replay(before, len(writes.entries), self._chance)
        before.replace(self._card.path)
        log.unlink()
        moment = f"{machine.age:.0f} s{what}{ended}, slot {machine.slot}, {lost} of the last {there} writes lost"
        findings = self._outside.findings()
        held = self._card.spool(folder)
        self._open.append(Cut(kind, moment, {str(one["id"]) for one in findings}, held, doubled(findings)))
        print(f"        cut {self._number + len(self._open)}, {kind}: {moment}; {len(held)} on the card", flush=True)

    def _until(self, machine: Machine, kind: str) -> str:
        """Wait for the moment of such a cut; says what went on."""
        draw = self._chance.uniform
        if kind in (KINDS[0], "starting"):
            # A first start goes on to the certificate and the first findings.
            machine.wait(lambda: False, draw(1, self._usual * (1.5 if kind == KINDS[0] else 1)))
            return ""
        self._up(machine)
        if kind == "updating":
            return self._updating(machine)
        if kind == "writing":
            machine.wait(lambda: False, draw(33, 50))
            self._write(machine.wait)
        else:
            machine.wait(lambda: False, draw(5, 60) if kind == "measuring" else draw(40, 90))
        return ""

    def _updating(self, machine: Machine) -> str:
        self._later += 1
        self._releases.publish(self._bundle, self._later)
        if not self._outside.login(lambda: machine.runs):
            return " (nobody could log in: no update)"
        self._outside.ssh("sudo systemctl start --no-block colibri-update", PATIENCE)
        wait = self._chance.uniform(1, UPDATE)
        machine.wait(lambda: False, wait)
        return f", {wait:.0f} s into the update"

    def _write(self, wait: Callable[[Callable[[], bool], float], bool]) -> None:
        """Until something is written (looked for every 2 ms), and up to 30 ms longer."""
        path = self._card.path
        before = path.stat().st_mtime_ns

        def written() -> bool:
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                if path.stat().st_mtime_ns != before:
                    time.sleep(self._chance.uniform(0, 0.03))
                    return True
                time.sleep(0.002)
            return False

        wait(written, 90)

    def _up(self, machine: Machine) -> bool:
        """Wait until its daemon runs: that is what was open of the cuts before."""
        if not machine.wait(lambda: machine.said(READY), UP):
            return False
        self._usual = machine.age
        missing = [one for one in self._open if not one.booted]
        for one in missing:
            later = " (a later start)" if one is not missing[-1] else ""
            one.booted = f"up after {machine.age:.0f} s{later}"
        return True

    def settle(self) -> None:
        """Let the card start once more, undisturbed, until all that it held is at the collector and it has measured;
        then tell what came of its cuts."""
        if not self._open:
            return
        machine = Machine(self._card, self._outside)
        self._up(machine)
        held = set().union(*(one.held for one in self._open))

        def ids() -> set[str]:
            return {str(one["id"]) for one in self._outside.findings()}

        before = ids()
        machine.wait(lambda: held <= ids() and len(ids() - before - held) > 0, UP)
        fresh = len(ids() - before - held)
        # That somebody can log in shows that keys and accounts are whole, too.
        login = self._outside.login(lambda: machine.runs, PATIENCE)
        failed = " ".join(self._outside.ssh("systemctl --failed --no-legend").stdout.split())
        machine.cut()
        findings = self._outside.findings()
        now, twice = ids(), doubled(findings)
        for one in self._open:
            self._number += 1
            seen, good = one.row(now, twice)
            self._table.row(f"cut {self._number}, {one.kind}", seen, good)
        said = f"{fresh} new findings; units that failed: {failed or 'none'}{'' if login else '; nobody can log in'}"
        self._table.row("after them it measures on", said, bool(fresh) and login and not failed)
        self._open.clear()


def power_cuts(
    table: Table, fresh: Callable[[], Card], outside: Outside, releases: Releases, count: int, seed: int
) -> None:
    """``count`` cuts, of the kinds above in turn. ``fresh``: a new card, ready for its first start."""
    series = Series(table, outside, releases, fresh, seed)
    for kind in islice(cycle(KINDS), count):
        series.cut(kind)
    series.settle()
    findings = outside.findings()
    table.row("runs that are stored twice", f"{doubled(findings)} of {len(findings)}", not doubled(findings))
