#!/usr/bin/env python3
"""Boots the very image in qemu and shows what it does: `make image-test` (docs/image.md).

    boottest.py --out FOLDER --version VERSION [--keys FOLDER] [--only PART,…] [--cuts N]

The Raspberry Pi's firmware is played: config.txt, slot.txt, and the slot's kernel, initramfs and command line are read
out of the card's own boot partition. The card is a sparse copy of the image, 4 GB, in which the test edits what a
volunteer edits (colibri.toml, targets.toml) and nothing else. Broker, collector and web server run beside it, on
loopback, in a network namespace of their own, in which nothing else can be reached; the guest sees them as 10.0.2.2.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import release
from emulation import BROKER, ROOT, WEB, Card, Machine, Outside

FIRST_FINDING = 300.0
"""Seconds in which the first finding has to be at the collector."""
ROWS: list[tuple[str, str, str]] = []
"""What was asked, what was seen, `ok` or `FAILED`."""

COLIBRI_TOML = """[mqtt]
host = "10.0.2.2"
port = {broker}
resend_after = 10
[line]
operator = "Emulated"
country = "MA"
access = "fixed"
[safety]
allow_networks = ["10.0.2.0/24"]
target_spacing = 1
[schedule]
every = 20
[wifi]
ssid = "Haus am See"
password = "a-wifi-secret"
[ssh]
keys = ["{key}"]
[device]
hostname = "sonde-7"
[update]
url = "http://10.0.2.2:{web}/"
"""
TARGETS_TOML = """[[targets]]
target = "10.0.2.2"
measurements = ["blackhole"]
options = {{ ports = [{web}], siblings = ["10.0.2.3"], control_address = "10.0.2.2" }}
"""


def row(asked: str, seen: str, good: bool) -> None:
    """Note a result and show it at once."""
    ROWS.append((asked, seen, "ok" if good else "FAILED"))
    print(f"{ROWS[-1][2]:<7} {asked}: {seen}", flush=True)


def first_boot(card: Card, outside: Outside, folder: Path) -> Machine:
    """Flash, plug in: settings, first finding."""
    key = Path(f"{outside.key}.pub").read_text().strip()
    card.write("colibri.toml", COLIBRI_TOML.format(broker=BROKER, web=WEB, key=key))
    card.write("targets.toml", TARGETS_TOML.format(web=WEB))
    machine = Machine(card, folder)
    found = machine.wait(lambda: bool(outside.findings()), FIRST_FINDING)
    age = machine.age
    row("first start, first finding at the collector", f"{age:.0f} s (limit {FIRST_FINDING:.0f})", found)
    if found:
        one = outside.findings()[0]
        row("what it measured", f"{one.get('measurement')} of {one.get('target')}: {one.get('verdict')}", True)
    return machine


def looks(outside: Outside) -> None:
    """What somebody who logs in finds."""
    ready = outside.ssh("true")
    row("log in by key", ready.stderr.strip() or "yes", ready.returncode == 0)
    for name, command, wanted in (
        ("host name", "hostname", "sonde-7"),
        ("root is read only", "findmnt -no FSTYPE /run/appliance/ro", "squashfs"),
        ("data partition took the card", "df --output=size -BM /data | tail -1", r"2\d\d\dM"),
        ("units that failed", "systemctl --failed --no-legend | wc -l", "^0$"),
        ("machine id kept on the data partition", "sudo cmp /etc/machine-id /data/machine-id && echo same", "same"),
        ("watchdog armed", "systemctl show -P RuntimeWatchdogUSec", "15s"),
        ("no password works", "sudo grep -vc ':[*!]' /etc/shadow", "^0$"),
        ("status", "colibri status", "connected"),
        ("message of the day", "sudo run-parts /etc/update-motd.d", "feed connected"),
        ("daemon's memory", "systemctl show -P MemoryCurrent colibri", r"\d+"),
        ("daemon's resident set (kB)", "sudo grep VmRSS /proc/$(systemctl show -P MainPID colibri)/status", r"\d+"),
        ("written to the card since the start (sectors)", "awk '{print $7}' /sys/class/block/vda/stat", r"\d+"),
    ):
        done = outside.ssh(command)
        seen = " ".join((done.stdout or done.stderr).split())[-160:]
        row(name, seen, re.search(wanted, seen) is not None)


def card_after(card: Card) -> None:
    """What the volunteer sees who puts the card into a computer."""
    status = card.read("COLIBRI-STATUS.txt").decode("utf-8-sig")
    row("COLIBRI-STATUS.txt", status.splitlines()[2], "est correct" in status and len(status.encode()) + 3 == 8192)
    row("secrets left on the boot partition", "none", b"a-wifi-secret" not in card.read("colibri.toml"))


class Releases:
    """Makes releases with the operator's own tools."""

    def __init__(self, out: Path, keys: Path, version: str, repository: Path) -> None:
        self.out, self.keys, self.repository = out, keys, repository
        self.stem, _, last = version.rpartition(".")
        self.last = int(last)

    def name(self, later: int) -> str:
        """The version that comes so much later."""
        return f"{self.stem}.{self.last + later}"

    def build(self, later: int, broken: bool = False) -> Path:
        """The same system under a later version, as an update; ``broken``: its daemon can't start."""
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
        return self.out / f"colibri-{self.name(later)}.raucb"

    def publish(self, bundle: Path, later: int, **kind: Any) -> None:
        """Add it to what is served."""
        release.publish(self.keys, self.repository, bundle, self.name(later), **kind)


def refusals(outside: Outside, releases: Releases, folder: Path) -> None:
    """Updates that must not be taken."""
    junk = folder / "junk"
    junk.write_bytes(b"no bundle at all")
    metadata, files = releases.repository / "metadata", releases.repository / "targets"

    def attempt(name: str, words: str) -> None:
        done = outside.ssh("sudo systemctl start colibri-update; sudo journalctl -u colibri-update -n 12 -o cat", 300)
        lines = [line for line in done.stdout.splitlines() if line.startswith("colibri-appliance: ")]
        seen = lines[-1].removeprefix("colibri-appliance: ") if lines else done.stderr.strip()
        primary = outside.ssh("sudo /usr/lib/colibri/rauc-boot get-primary").stdout.strip()
        row(f"update refused: {name}", f"{seen[:110]}; {primary} stays", words in seen and primary == "A")

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
    releases.publish(junk, 6)
    for path in files.iterdir():
        path.write_bytes(b"no bundle at alL")
    attempt("tampered bundle", "not the one that was announced")
    newest = metadata / f"{release.latest(metadata, 'targets')}.targets.json"
    newest.write_text(newest.read_text().replace(releases.name(6), releases.name(7)))
    release.refresh(releases.keys, releases.repository)
    attempt("tampered metadata", "UnsignedMetadataError")


def updates(card: Card, outside: Outside, folder: Path, releases: Releases) -> None:
    """Refused ones, a good one, a broken one."""
    good, broken = releases.build(10), releases.build(20, broken=True)
    machine = Machine(card, folder)
    machine.wait(lambda: outside.ssh("true").returncode == 0, 200)
    refusals(outside, releases, folder)

    releases.publish(good, 10)
    began = time.monotonic()
    installed = outside.ssh("sudo systemctl start colibri-update", 500)
    ended = machine.wait(lambda: not machine.runs, 120)
    row("good update installed", f"{time.monotonic() - began:.0f} s {installed.stderr.strip()[-80:]}", ended)
    machine.cut()
    machine = Machine(card, folder, "colibri.trial=200")
    good_slot = machine.slot
    proved = machine.wait(lambda: machine.said("has proved itself"), 300)
    row("the new system proves itself", f"slot {good_slot} after {machine.age:.0f} s", proved and good_slot == "B")
    kept = (card.read("slot.txt"), card.read("trial"))
    row("and stays", f"{kept}", kept == (b"os_prefix=B/\n", b"-\n"))

    releases.publish(broken, 20)
    outside.ssh("sudo systemctl start colibri-update", 500)
    machine.wait(lambda: not machine.runs, 120)
    machine.cut()
    machine = Machine(card, folder, "colibri.trial=60")
    bad_slot = machine.slot
    ended = machine.wait(lambda: not machine.runs, 400)
    row("a broken update gives up by itself", f"slot {bad_slot}, {machine.age:.0f} s", ended and bad_slot == "A")
    machine.cut()
    before = len(outside.findings())
    machine = Machine(card, folder)
    back = machine.wait(lambda: len(outside.findings()) > before, 300) and machine.slot == "B"
    row("the one before runs again", f"slot {machine.slot}, finding after {machine.age:.0f} s", back)
    machine.cut()


def power_cuts(card: Card, outside: Outside, folder: Path, count: int) -> None:
    """The plug is pulled at random moments of the start and of measuring; then all must be there."""
    chance = random.Random(5)
    moments = []
    for _ in range(count):
        machine = Machine(card, folder)
        machine.wait(lambda: False, chance.uniform(2, 110))
        moments.append(round(machine.age))
        machine.cut()
    known = {one["id"] for one in outside.findings()}
    machine = Machine(card, folder)
    up = machine.wait(lambda: len(outside.findings()) > len(known), 300)
    row(f"{count} power cuts", f"at {moments} s; measures again after {machine.age:.0f} s", up)
    ids = [one["id"] for one in outside.findings()]
    row("findings stored twice, or lost again", f"{len(ids)} findings", len(ids) == len(set(ids)) and known <= set(ids))
    machine.cut()


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--keys", type=Path, default=ROOT / "build/keys")
    parser.add_argument("--only", default="boot,update,cuts")
    parser.add_argument("--cuts", type=int, default=20)
    given = parser.parse_args()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="boottest-", dir=given.out))
    outside = Outside(folder)
    try:
        card = Card(given.out / f"colibri-{given.version}.img", folder / "card.img")
        machine = first_boot(card, outside, folder)
        if machine.runs:
            looks(outside)
        machine.cut()
        card_after(card)
        if "update" in given.only:
            updates(card, outside, folder, Releases(given.out, given.keys, given.version, outside.repository))
        if "cuts" in given.only:
            power_cuts(card, outside, folder, given.cuts)
    finally:
        outside.stop()
        shutil.copy(folder / "console.log", given.out / "console.log")
    width = max(len(asked) for asked, _, _ in ROWS)
    print("\n" + "\n".join(f"{asked:<{width}}  {verdict:<6}  {seen}" for asked, seen, verdict in ROWS))
    print(f"\n{time.monotonic() - began:.0f} s in all")
    failed = any(verdict == "FAILED" for _, _, verdict in ROWS)
    if not failed:
        shutil.rmtree(folder)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
