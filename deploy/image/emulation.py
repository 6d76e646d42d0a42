"""The card and the emulated device, for boottest.py; what stands around it is in outside.py."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cache import SECTOR
from check import partition
from outside import LINE, MAC, Outside

DATA = 4
"""Number of the data partition."""
SMALL = ("colibri", "settings", "secrets", "ssh", "machine-id", "page-code", "hostname")
"""What is on it, but for updates and the journal's tail."""


def _extract(whole: Path, part: Path, offset: int, length: int) -> None:
    """A part of a file, as a file of its own; holes stay holes."""
    with whole.open("rb") as source, part.open("wb") as out:
        out.truncate(length)
        at = offset
        while at < offset + length:
            try:
                at = os.lseek(source.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but holes to the end
                return
            end = min(os.lseek(source.fileno(), at, os.SEEK_HOLE), offset + length)
            while at < end:
                source.seek(at)
                out.seek(at - offset)
                at += out.write(source.read(min(1 << 20, end - at)))


class Card:
    """The card: a file, of which single files are read and written as a computer would."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def flashed(cls, image: Path, path: Path) -> Card:
        """A new one of 4 GB, onto which the image was written."""
        card = cls(image).copy(path)
        os.truncate(path, 4 << 30)
        return card

    def _mtools(self, *command: str | Path) -> bytes:
        done = subprocess.run(command, capture_output=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}, check=False)
        if done.returncode:
            raise SystemExit(f"{command}: {done.stderr.decode()}")
        return done.stdout

    def copy(self, path: Path) -> Card:
        """The card as it is now, as another file."""
        subprocess.run(["cp", "--sparse=always", self.path, path], check=True)
        return Card(path)

    def read(self, name: str) -> bytes:
        """A file of the boot partition."""
        return self._mtools("mtype", "-i", f"{self.path}@@4M", f"::{name}")

    def write(self, name: str, content: str) -> None:
        """Write one, as a volunteer's editor does."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(content)
            file.flush()
            self._mtools("mcopy", "-o", "-i", f"{self.path}@@4M", file.name, f"::{name}")

    def data(self, into: Path) -> None:
        """What is small of the data partition, as files in a folder: in a copy that was mended as the next start does
        it (journal played back). Raises SystemExit where it is damaged."""
        offset, length = partition(self.path, DATA)
        # As a file of its own: e2fsck forgets an offset once it has played the journal back.
        part = self.path.with_suffix(".ext4")
        _extract(self.path, part, offset, length)
        mended = subprocess.run(["e2fsck", "-p", part], capture_output=True, check=False)
        if mended.returncode > 1:
            raise SystemExit(f"the data partition is damaged: {mended.stdout.decode()}{mended.stderr.decode()}")
        into.mkdir(parents=True, exist_ok=True)
        for name in SMALL:
            subprocess.run(["debugfs", "-R", f"rdump /{name} {into}", part], capture_output=True, check=True)
        part.unlink()

    def spool(self, folder: Path) -> set[str]:
        """Ids of the findings that lie on the data partition: what a power cut must not take.

        Looked at as the next start will see it: journal and write-ahead log played back.
        """
        state = folder / "look"
        shutil.rmtree(state, ignore_errors=True)
        self.data(state)
        spool = state / "colibri/spool.sqlite3"
        if not spool.exists() or not spool.stat().st_size:
            return set()
        with contextlib.closing(sqlite3.connect(spool)) as db:
            return {one for (one,) in db.execute("SELECT id FROM finding")}

    def firmware(self, folder: Path) -> tuple[str, Path, Path]:
        """What the Raspberry Pi's firmware finds: command line, kernel, initramfs."""
        text = self.read("config.txt").decode() + self.read("slot.txt").decode()
        settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
        initramfs = re.search(r"^initramfs (\S+)", text, re.MULTILINE)
        if initramfs is None:
            raise SystemExit("config.txt names no initramfs")
        prefix = settings["os_prefix"]
        kernel, initrd = folder / "kernel", folder / "initrd"
        kernel.write_bytes(self.read(prefix + settings["kernel"]))
        initrd.write_bytes(self.read(prefix + initramfs[1]))
        return self.read(f"{prefix}cmdline.txt").decode().strip(), kernel, initrd


class Machine:
    """A running emulator, with what its console said. ``log``: a file for what it writes (cache.py)."""

    def __init__(self, card: Card, outside: Outside, append: str = "", log: Path | None = None) -> None:
        folder = outside.folder
        line, kernel, initrd = card.firmware(folder)
        self.slot = line.partition("rauc.slot=")[2][:1]
        line = f"{re.sub(r'console=tty0|console=ttyS1[^ ]*', '', line)} console=ttyAMA0 {append}"
        self.log: list[str] = []
        self.began = time.monotonic()
        self._console = (folder / "console.log").open("a")
        # The medium of the device "card"; a log is bypassed by nothing, since it is a part of the way.
        medium: dict[str, object] = {"driver": "raw", "file": {"driver": "file", "filename": str(card.path)}}
        if log is not None:
            log.unlink(missing_ok=True)
            log.touch()
            os.truncate(log, 4 << 30)
            logged = {"driver": "raw", "file": {"driver": "file", "filename": str(log)}}
            medium = {"driver": "blklogwrites", "file": medium, "log": logged, "log-sector-size": SECTOR}
        self._process = outside.lab.popen(
            LINE, [
                "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "1024",
                "-accel", "tcg,thread=multi", "-kernel", str(kernel), "-initrd", str(initrd), "-append", line,
                "-blockdev", json.dumps({**medium, "node-name": "card"}),
                "-device", "virtio-blk-device,drive=card,write-cache=on",
                # As on a wire: checksums and segments are whole before a packet leaves.
                "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no,vnet_hdr=off",
                "-device", f"virtio-net-device,netdev=net,mac={MAC}",
                # Armed, but without effect: on a busy machine the emulated one stands still for longer than its 15 s.
                "-device", "i6300esb", "-action", "watchdog=none", "-device", "virtio-rng-device",
                "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for raw in self._process.stdout or ():
            text = raw.decode(errors="replace").rstrip()
            self.log.append(text)
            self._console.write(f"{self.age:7.1f} {text}\n")
            self._console.flush()

    @property
    def age(self) -> float:
        """Seconds since it was switched on."""
        return time.monotonic() - self.began

    @property
    def runs(self) -> bool:
        """False once it was switched off or has started anew (which ends the emulator)."""
        return self._process.poll() is None

    def said(self, pattern: str) -> bool:
        """Whether the console has said it."""
        return any(re.search(pattern, line) for line in self.log)

    def cut(self) -> None:
        """Pull the plug."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._console.close()

    def wait(self, condition: Callable[[], bool], limit: float) -> bool:
        """Until a condition holds; False if the time is over or the machine has ended before."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if condition():
                return True
            if not self.runs:
                return condition()
            time.sleep(0.5)
        return False
