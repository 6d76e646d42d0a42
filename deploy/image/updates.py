"""The boot test's updates: those that must be refused, a good one, a broken one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import release
from emulation import Card, Machine
from outside import Outside
from table import Table

ROOT = Path(__file__).parents[2]
GOOD, BROKEN = 10, 20
"""How much later than the image these releases are numbered."""
PATIENCE = 900.0
"""Seconds for what takes one to three minutes on a machine that has nothing else to do."""


class Releases:
    """Makes releases with the operator's own tools."""

    def __init__(self, out: Path, keys: Path, version: str, repository: Path) -> None:
        self.out, self.keys, self.repository = out, keys, repository
        self.stem, _, last = version.rpartition(".")
        self.last = int(last)

    def name(self, later: int) -> str:
        """The version that comes so much later."""
        return f"{self.stem}.{self.last + later}"

    def build(self, later: int, *, broken: bool = False) -> Path:
        """The same system under a later version, as an update; ``broken``: its daemon can't start. Made once."""
        bundle, image = (self.out / f"colibri-{name}" for name in (f"{self.name(later)}.raucb", f"{self.name(0)}.img"))
        if bundle.exists() and bundle.stat().st_mtime > image.stat().st_mtime:
            return bundle
        environment = {**os.environ, "VERSION": self.name(later), "KEYS": str(self.keys), "FAST": "1",
                       "OUT": str(self.out), "SOURCE_DATE_EPOCH": str(int(time.time()))}  # fmt: skip
        if broken:
            extra = self.out / "broken"
            module = extra / "usr/lib/colibri/python/probe/agent"
            (module / "__pycache__").mkdir(parents=True, exist_ok=True)
            (module / "daemon.py").write_text("raise SystemExit('broken')\n")
            (module / "__pycache__/daemon.cpython-313.opt-2.pyc").write_bytes(b"broken")
            environment["EXTRA"] = str(extra)
        subprocess.run([ROOT / "deploy/image/system.sh"], env=environment, check=True)
        return bundle

    def publish(self, bundle: Path, later: int, **kind: Any) -> None:
        """Add it to what is served."""
        release.publish(self.keys, self.repository, bundle, self.name(later), **kind)


def refusals(table: Table, outside: Outside, releases: Releases) -> None:
    """Updates that must not be taken."""
    junk = outside.folder / "junk"
    junk.write_bytes(b"no bundle at all")
    metadata, files = releases.repository / "metadata", releases.repository / "targets"

    def attempt(name: str, words: str) -> None:
        done = outside.ssh(
            "sudo systemctl start colibri-update; sudo journalctl -u colibri-update -n 12 -o cat;"
            " echo primary: $(sudo /usr/lib/colibri/rauc-boot get-primary)", PATIENCE,
        )  # fmt: skip
        lines = [line for line in done.stdout.splitlines() if line.startswith("colibri-appliance: ")]
        seen = lines[-1].removeprefix("colibri-appliance: ") if lines else done.stderr.strip()
        primary = done.stdout.rpartition("primary: ")[2].strip()
        refused = words in seen and primary == "A"
        table.row(f"update refused: {name}", f"{seen[:110]}; {primary} stays", refused)

    releases.publish(junk, 5, holders=1)
    attempt("signed by one of three", "UnsignedMetadataError")
    releases.publish(junk, 5, days=-1)
    attempt("expired", "ExpiredMetadataError")
    releases.publish(junk, -1)
    attempt("older than the running one", "is older than")
    before = (metadata / "timestamp.json").read_bytes()
    releases.publish(junk, 5)
    attempt("not signed as a bundle", "RAUC")
    now = (metadata / "timestamp.json").read_bytes()
    (metadata / "timestamp.json").write_bytes(before)
    attempt("the repository of before", "BadVersionNumberError")
    (metadata / "timestamp.json").write_bytes(now)
    junk.write_bytes(b"another one")
    releases.publish(junk, 6)
    for path in files.iterdir():
        path.write_bytes(b"another onE")  # as long as the announced one
    attempt("tampered bundle", "not the one that was announced")
    newest = metadata / f"{release.latest(metadata, 'targets')}.targets.json"
    newest.write_text(newest.read_text().replace(releases.name(6), releases.name(7)))
    release.refresh(releases.keys, releases.repository)
    attempt("tampered metadata", "UnsignedMetadataError")


def refused(table: Table, card: Card, outside: Outside, releases: Releases) -> None:
    """Those that must not be taken."""
    machine = Machine(card, outside)
    outside.login(lambda: machine.runs)
    refusals(table, outside, releases)
    machine.cut()


def updates(table: Table, card: Card, outside: Outside, releases: Releases) -> None:
    """A good one, a broken one."""
    good, broken = releases.build(GOOD), releases.build(BROKEN, broken=True)
    machine = Machine(card, outside)
    outside.login(lambda: machine.runs)
    releases.publish(good, GOOD)
    size = good.stat().st_size
    began = time.monotonic()
    served = outside.served()
    done = outside.ssh("sudo systemctl start colibri-update; sudo journalctl -u colibri-update -n 3 -o cat", PATIENCE)
    ended = machine.wait(lambda: not machine.runs, PATIENCE)
    seen = f"{time.monotonic() - began:.0f} s; {(outside.served() - served) / 1e6:.1f} of {size / 1e6:.1f} MB came"
    table.row("good update installed", seen if ended else f"{seen}; {' '.join(done.stdout.split())[-110:]}", ended)
    machine.cut()
    machine = Machine(card, outside, "colibri.trial=900")
    slot = machine.slot
    proved = machine.wait(lambda: machine.said("has proved itself"), PATIENCE)
    table.row("the new system proves itself", f"slot {slot} after {machine.age:.0f} s", proved and slot == "B")
    kept = (card.read("slot.txt"), card.read("trial"))
    table.row("and stays", f"{kept}", kept == (b"os_prefix=B/\n", b"-\n"))

    releases.publish(broken, BROKEN)
    outside.login(lambda: machine.runs)
    outside.ssh("sudo systemctl start colibri-update", PATIENCE)
    machine.wait(lambda: not machine.runs, PATIENCE)
    machine.cut()
    machine = Machine(card, outside, "colibri.trial=60")
    slot = machine.slot
    ended = machine.wait(lambda: not machine.runs, PATIENCE)
    table.row("a broken update gives up by itself", f"slot {slot}, {machine.age:.0f} s", ended and slot == "A")
    machine.cut()
    before = len(outside.findings())
    machine = Machine(card, outside)
    back = machine.wait(lambda: len(outside.findings()) > before, PATIENCE) and machine.slot == "B"
    table.row("the one before runs again", f"slot {machine.slot}, finding after {machine.age:.0f} s", back)
    machine.cut()
