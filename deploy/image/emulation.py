"""The card, the emulated device and what runs beside it, for boottest.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BROKER, COLLECTOR, WEB, SSH = 1883, 8080, 8000, 2222
"""Ports on loopback."""


class Card:
    """The card: a file, of which single files are read and written as a computer would."""

    def __init__(self, image: Path, path: Path) -> None:
        subprocess.run(["cp", "--sparse=always", image, path], check=True)
        os.truncate(path, 4 << 30)
        self.path = path

    def _mtools(self, *command: str | Path) -> bytes:
        done = subprocess.run(command, capture_output=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}, check=False)
        if done.returncode:
            raise SystemExit(f"{command}: {done.stderr.decode()}")
        return done.stdout

    def read(self, name: str) -> bytes:
        """A file of the boot partition."""
        return self._mtools("mtype", "-i", f"{self.path}@@4M", f"::{name}")

    def write(self, name: str, content: str) -> None:
        """Write one, as a volunteer's editor does."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(content)
            file.flush()
            self._mtools("mcopy", "-o", "-i", f"{self.path}@@4M", file.name, f"::{name}")

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
    """A running emulator, with what its console said."""

    def __init__(self, card: Card, folder: Path, append: str = "") -> None:
        line, kernel, initrd = card.firmware(folder)
        self.slot = line.partition("rauc.slot=")[2][:1]
        line = f"{re.sub(r'console=tty0|console=ttyS1[^ ]*', '', line)} console=ttyAMA0 {append}"
        self.log: list[str] = []
        self.began = time.monotonic()
        self._console = (folder / "console.log").open("a")
        self._process = subprocess.Popen(
            [
                "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "1024",
                "-accel", "tcg,thread=multi", "-kernel", kernel, "-initrd", initrd, "-append", line,
                "-drive", f"if=none,id=card,file={card.path},format=raw,cache=writeback",
                "-device", "virtio-blk-device,drive=card",
                "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{SSH}-:22", "-device", "virtio-net-device,netdev=net",
                "-device", "i6300esb", "-action", "watchdog=reset", "-device", "virtio-rng-device",
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


class Outside:
    """Broker, collector and web server on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "served"
        self.repository.mkdir()
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        (folder / "mosquitto.conf").write_text(f"user root\nlistener {BROKER} 127.0.0.1\nallow_anonymous true\n")
        (folder / "collector.toml").write_text(
            f'[mqtt]\nhost = "127.0.0.1"\nport = {BROKER}\n[collector]\ndatabase = "{folder}/findings.sqlite3"\n'
            f'listen = "127.0.0.1:{COLLECTOR}"\n'
        )
        self._started = [
            self._start("mosquitto", "-c", folder / "mosquitto.conf"),
            self._start(sys.executable, "-m", "http.server", str(WEB), "--bind", "127.0.0.1", "-d", self.repository),
        ]
        time.sleep(1)
        self._started.append(
            self._start(sys.executable, "-m", "probe", "collector", "run", "--config", folder / "collector.toml")
        )

    def _start(self, *command: str | Path) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{Path(command[0]).name}-{len(list(self.folder.glob('*.out')))}.out").open("w")
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def stop(self) -> None:
        """End all of it."""
        for process in self._started:
            process.terminate()
            process.wait()

    def findings(self) -> list[dict[str, Any]]:
        """What the collector has stored, from its API."""
        try:
            address = f"http://127.0.0.1:{COLLECTOR}/api/v1/findings?limit=1000"
            with urllib.request.urlopen(address, timeout=5) as answer:
                found = json.load(answer)
        except OSError:
            return []
        return list(found["findings"] if isinstance(found, dict) else found)

    def ssh(self, command: str, limit: float = 120) -> subprocess.CompletedProcess[str]:
        """Log in as the key's owner and run it."""
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                   "-o", "ConnectTimeout=30", "-i", str(self.key), "-p", str(SSH)]  # fmt: skip
        whole = ["ssh", *options, "admin@127.0.0.1", command]
        return subprocess.run(whole, capture_output=True, text=True, timeout=limit, check=False)
