"""The boot test's power cuts: the plug is pulled at random moments, and then all must be there.

What is looked for after each cut is on the card itself: the findings that its data partition holds. All of them must be
at the collector in the end, once each; and whatever was cut, the next start must come up.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import cycle, islice

from emulation import Card, Machine
from outside import Outside
from table import Table
from updates import GOOD, Releases

UP, UPDATE = 900.0, 90.0
"""Seconds that a start may take on a busy machine; in which an update is fetched and installed."""
KINDS = ("starting", "collector away", "updating", "measuring")
READY = r"(Started|Reloaded) .*colibri\.service"


def comes_up(machine: Machine) -> bool:
    """Wait until its daemon runs."""
    return machine.wait(lambda: machine.said(READY), UP)


def power_cuts(table: Table, card: Card, outside: Outside, releases: Releases, count: int) -> None:
    """``count`` cuts of the kinds above, one after the other; all but those "starting" of a device that was up."""
    chance = random.Random(5)
    bundle, later = releases.build(GOOD), 100
    on_card: set[str] = set()
    up = tried = 0
    seen: list[str] = []
    for kind in islice(cycle(KINDS), count):
        outside.pause(stopped=kind == "collector away")
        machine = Machine(card, outside)
        if kind == "starting":
            machine.wait(lambda: False, chance.uniform(1, 60))
        else:
            tried += 1
            up += comes_up(machine)
            if kind == "updating":
                later += 1
                releases.publish(bundle, later)
                outside.login(lambda: machine.runs)  # noqa: B023 - called before the next turn
                outside.ssh("sudo systemctl start --no-block colibri-update", UPDATE)
                machine.wait(lambda: False, chance.uniform(1, UPDATE))
            else:
                # With the collector away, findings go to the card after some 30 s.
                machine.wait(lambda: False, chance.uniform(*((40, 100) if kind == "collector away" else (1, 60))))
        moment = f"{kind} {machine.age:.0f} s{'' if machine.runs else ' (between two starts)'}, slot {machine.slot}"
        machine.cut()
        outside.pause(stopped=False)
        held = card.spool(outside.folder)
        on_card |= held
        seen.append(f"{moment}, {len(held)} findings on the card")
        print(f"        cut {len(seen)}: {seen[-1]}", flush=True)
    before = {one["id"] for one in outside.findings()}
    machine = Machine(card, outside)
    tried += 1
    up += comes_up(machine)
    table.row(f"starts after {count} power cuts that came up", f"{up} of {tried}", up == tried)
    whole = machine.wait(lambda: on_card <= {one["id"] for one in outside.findings()}, UP)
    fresh = machine.wait(lambda: len(outside.findings()) > len(before), UP)
    findings = outside.findings()
    ids = {one["id"] for one in findings}
    lost = len(on_card - ids) + len(before - ids)
    none = whole and not lost and bool(on_card)
    table.row("findings on the card at a cut that are lost", f"{lost} of {len(on_card)}", none)
    runs = Counter((one["cell"], one["at"]) for one in findings if one["at"])
    twice = [run for run, times in runs.items() if times > 1]
    table.row("findings stored twice", f"{len(twice)} of {len(findings)}", not twice)
    table.row("it measures on", f"{len(findings)} findings", fresh)
    machine.cut()
