#!/usr/bin/env python3
"""Boots the very image in qemu and shows what it does: `make image-test` (docs/image.md).

    boottest.py --out FOLDER --version VERSION [--keys FOLDER] [--only PART,…] [--cuts N] [--states N] [--seed N]
                [--wear SECONDS]

The Raspberry Pi's firmware is played: config.txt, slot.txt, and the slot's kernel, initramfs and command line are read
out of the card's own boot partition. The card is a sparse copy of the image, 4 GB, in which the test edits what a
volunteer edits (colibri.toml, targets.toml) and nothing else. It is plugged into a home of the lab (outside.py).

Parts, in this order: boot; refused (updates that must not be taken); update (a good one, a broken one); wear (what is
written to the card at the default schedule, watched for so many seconds); states (N cards each as a cut at any moment
of a first start, of an update, of a time without a collector would leave them); cuts (the plug is pulled N times, on
cards of their own).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from cuts import power_cuts
from emulation import Card, Machine
from outside import LINE, Outside
from states import any_moment
from table import Table
from updates import PATIENCE, Releases, refused, updates

from probe.model.config import ScheduleConfig

ROOT = Path(__file__).parents[2]
FIRST_FINDING = 300.0
"""Seconds in which the first finding has to be at the collector."""
OWN = """
[schedule]
every = 20
[wifi]
ssid = "Haus am See"
password = "a-wifi-secret"
[ssh]
keys = ["{key}"]
[device]
hostname = "sonde-7"
"""
DAY, SECTOR = 86_400, 512
EVERY = ScheduleConfig().every
IMPORTS = (
    "printf '[probe]\\nid=\"x\"\\nstate_dir=\"/tmp/x\"\\n[control]\\nsocket=\"/tmp/x.s\"\\ngroup=\"\"\\n' >/tmp/x.toml"
    "; sudo python3 -OO -X importtime /usr/bin/colibri run --once --config /tmp/x.toml 2>&1 | grep -c 'import time'"
)


def flashed(image: Path, outside: Outside) -> Card:
    """A new card, with a volunteer's settings and an enrolment code of its own."""
    card = Card.flashed(image, outside.folder / "card.img")
    key = Path(f"{outside.key}.pub").read_text().strip()
    card.write("colibri.toml", outside.settings() + OWN.format(key=key))
    card.write("targets.toml", outside.targets())
    return card


def first_boot(table: Table, card: Card, outside: Outside) -> Machine:
    """Plug in: enrolment by the code, first finding."""
    machine = Machine(card, outside)
    found = machine.wait(lambda: bool(outside.findings()), PATIENCE)
    in_time, load = found and machine.age <= FIRST_FINDING, os.getloadavg()[1]
    seen = f"{machine.age:.0f} s (limit {FIRST_FINDING:.0f}), at a load of {load:.0f} on {os.cpu_count()}"
    table.row("first start, first finding at the collector", seen, in_time)
    table.row("enrolled with the code", ", ".join(outside.probes()) or "nobody", len(outside.probes()) == 1)
    return machine


def truth(table: Table, outside: Outside, machine: Machine) -> None:
    """What it says of the line is what the lab's scenario says."""
    expected = Counter(
        (one.measurement, "/".join(one.verdict)) for one in outside.lab.state.scenario.expect if one.operator == LINE
    )

    def measured() -> Counter[tuple[str, str]]:
        return Counter({(str(one["measurement"]), str(one["verdict"])): 1 for one in outside.findings()})

    right = machine.wait(lambda: expected.keys() <= measured().keys(), PATIENCE)
    told = ", ".join(f"{name} {verdict}" for name, verdict in measured())
    table.row("the lab's line, as it truly is", f"{told} after {machine.age:.0f} s", right)


DAEMON = "/proc/$(systemctl show -P MainPID colibri)"
PARTS = """'/^[0-9a-f]+-/ {n = $6; sub(".*/", "", n)} /^Rss:/ {r[n] += $2}
    END {for (n in r) print int(r[n] / 1024 + 0.5), n == "" ? "anonymous" : n}'"""
LOOKS = (
    ("log in by key", "id -un", "^admin$"),
    ("host name", "hostname", "^sonde-7$"),
    ("root is read only", "findmnt -no FSTYPE /run/appliance/ro", "^squashfs$"),
    ("data partition took the card", "df --output=size -BM /data | tail -1", r"^[23]\d\d\dM$"),
    ("units that failed", "systemctl --failed --no-legend | tr '\\n' ' '; echo .", r"^\.$"),
    ("machine id kept on the data partition", "sudo cmp /etc/machine-id /data/machine-id && echo same", "same"),
    ("watchdog armed", "systemctl show -P RuntimeWatchdogUSec", "^15s$"),
    ("no password works", "sudo grep -vc ':[*!]' /etc/shadow", "^0$"),
    ("the clock is set, by the network", "timedatectl show -P NTPSynchronized", "^yes$"),
    ("status", "colibri status", "connected"),
    ("message of the day", "bash -lic true", "feed connected"),
    ("daemon's memory (cgroup, bytes)", "systemctl show -P MemoryCurrent colibri", r"^\d+$"),
    ("daemon's resident set", f"sudo grep -E '^(VmRSS|RssAnon|RssFile)' {DAEMON}/status", r"RssFile:\s*\d+ kB"),
    ("the largest parts of it, MB", f"sudo awk {PARTS} {DAEMON}/smaps | sort -rn | head -n 6", r"^\d+ "),
    ("imports of an idle daemon", IMPORTS, r"^\d+$"),
    ("start of the system", "systemctl is-system-running --wait; systemd-analyze | head -n 1", "Startup finished"),
    ("bytes written since the start", "awk '{print $7 * 512}' /sys/class/block/vda/stat", r"^\d+$"),
)
"""What is asked, a command, and what its output has to be like."""


def looks(table: Table, outside: Outside, machine: Machine) -> None:
    """What somebody who logs in finds."""
    outside.login(lambda: machine.runs)
    script = "\n".join(f"echo @@@; ( {command} ) 2>&1" for _, command, _ in LOOKS)
    done = outside.ssh(script, 600)
    answers = done.stdout.split("@@@\n")[1:] or [done.stderr] * len(LOOKS)
    for (name, _, wanted), answer in zip(LOOKS, answers, strict=False):
        seen = " ".join(answer.split())
        table.row(name, seen[-160:], re.search(wanted, seen) is not None)
    table.row("looked at all", f"{len(answers)} of {len(LOOKS)}", len(answers) == len(LOOKS))
    status, text = outside.fetch("/")
    table.row("the home's page", f"HTTP {status}, {len(text)} characters", status == 200 and "Colibri" in text)


def card_after(table: Table, card: Card) -> None:
    """What the volunteer sees who puts the card into a computer."""
    status = card.read("COLIBRI-STATUS.txt").decode("utf-8-sig")
    whole = "est correct" in status and len(status.encode()) + 3 == 8192
    table.row("COLIBRI-STATUS.txt", status.splitlines()[2], whole)
    text = card.read("colibri.toml").decode()
    left = [word for word in ("a-wifi-secret", 'code = "') if word in text and f"{word}*" not in text]
    table.row("secrets left on the boot partition", ", ".join(left) or "none", not left)


def wear(table: Table, card: Card, outside: Outside, seconds: float) -> None:
    """Bytes written in a day at the default schedule: what it writes while nothing is due, and what a measurement adds,
    each watched for half of the time; to be multiplied to a day. What is done every six hours is not in it."""
    text = card.read("colibri.toml").decode()
    busy, more = written(card, outside, seconds / 2)
    pairs = {(one["measurement"], one["cell"]) for one in outside.findings()}
    card.write("colibri.toml", text.replace("every = 20\n", ""))
    idle, few = written(card, outside, seconds / 2)
    told = busy >= idle >= 0 and more > few
    each = (busy - idle) / (more - few) if told else 0.0
    still, rounds = (idle - few * each) / (seconds / 2) * DAY, len(pairs) * DAY / EVERY
    seen = (
        f"{(still + rounds * each) / 1e6:.1f} MB a day: {still / 1e6:.1f} while nothing is due and"
        f" {rounds:.0f} findings of {each / 1e3:.1f} kB; extrapolated from {seconds:.0f} s with {more} findings"
    )
    table.row("written to the card at the default schedule", seen if told else "the device said nothing", told)


def written(card: Card, outside: Outside, seconds: float) -> tuple[int, int]:
    """Bytes that a start of the card writes in so many seconds, once it has settled, and the findings that come
    meanwhile; -1 if it doesn't say."""
    before = len(outside.findings())
    machine = Machine(card, outside)
    machine.wait(lambda: len(outside.findings()) > before, PATIENCE)
    machine.wait(lambda: False, 120)
    counter = "awk '{print $7}' /sys/class/block/vda/stat"
    outside.login(lambda: machine.runs)
    first, began = outside.ssh(counter).stdout.strip(), len(outside.findings())
    machine.wait(lambda: False, seconds)
    last, ended = outside.ssh(counter).stdout.strip(), len(outside.findings())
    machine.cut()
    told = first.isdigit() and last.isdigit()
    return (int(last) - int(first)) * SECTOR if told else -1, ended - began


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--keys", type=Path, default=ROOT / "build/keys")
    parser.add_argument("--only", default="boot,refused,update,wear,states,cuts")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--states", type=int, default=40)
    parser.add_argument("--wear", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=5, help="of the moments of the cuts")
    given = parser.parse_args()
    # As the first process of its namespace it would not hear it otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="boottest-", dir=given.out))
    table = Table()
    outside = Outside(folder)
    try:
        image = given.out / f"colibri-{given.version}.img"
        releases = Releases(given.out, given.keys, given.version, outside.repository)
        if {"boot", "refused", "update", "wear"} & set(given.only.split(",")):
            card = flashed(image, outside)
            machine = first_boot(table, card, outside)
            if "boot" in given.only:
                truth(table, outside, machine)
                looks(table, outside, machine)
            machine.cut()
            card_after(table, card)
            if "refused" in given.only:
                refused(table, card, outside, releases)
            if "update" in given.only:
                updates(table, card, outside, releases)
            if "wear" in given.only:
                wear(table, card, outside, given.wear)
        if "states" in given.only:
            any_moment(table, lambda: flashed(image, outside), outside, releases, given.states, given.seed)
        if "cuts" in given.only:
            power_cuts(table, lambda: flashed(image, outside), outside, releases, given.cuts, given.seed)
    finally:
        outside.stop()
        if (folder / "console.log").exists():
            shutil.copy(folder / "console.log", given.out / "console.log")
        print(f"\n{table.text()}\n{time.monotonic() - began:.0f} s in all", flush=True)
        (given.out / "boottest.txt").write_text(table.text())
    if not table.failed:
        shutil.rmtree(folder)
    return int(table.failed)


if __name__ == "__main__":
    sys.exit(main())
