"""What stands around the emulated device, for boottest.py: a home on a line of the lab, and its operator's servers.

The device hangs on the network of the home ``sale`` (192.168.1.0/24), as it would at a volunteer's: behind the home
router, whose operator forges DNS answers and resets. On the same network, at 192.168.1.3, are broker, enrolment server,
collector and the web server with the updates, which a real device would reach over the Internet; and what a home router
does for those who plug in: DHCP and names. Everything lives in network namespaces, from which nothing else is reached.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec

from probe.lab.files import config_text, targets_text
from probe.lab.lab import Lab
from probe.lab.parts import Parts

ROOT = Path(__file__).parents[2]
LINE, SERVER, DEVICE, NAME = "sale", "192.168.1.3", "192.168.1.50", "collector.example"
BROKER, ENROL, MONITOR, WEB = 8883, 8444, 8080, 8000
MAC = "52:54:00:c0:11:b1"
FIELDS = ("id", "measurement", "verdict", "probe", "cell", "at")
NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 (RFC 5905) to 1970."""

_LAN = f"""
ip link add br0 type bridge
ip addr flush dev eth0
ip link set eth0 master br0
ip tuntap add tap0 mode tap
ip link set tap0 master br0 up
ip link set br0 up
ip addr add {SERVER}/24 dev br0
ip route replace default via 192.168.1.1
"""
_DNSMASQ = f"""port=53
interface=br0
bind-interfaces
no-resolv
no-hosts
server=198.18.30.53
address=/{NAME}/{SERVER}
address=/pool.ntp.org/{SERVER}
dhcp-range={DEVICE},{DEVICE},12h
# A new card makes itself a new machine id, and with it another name for itself; it is the same device.
dhcp-host={MAC},id:*,{DEVICE}
dhcp-option=option:router,192.168.1.1
dhcp-authoritative
user=root
"""


class Outside:
    """The home and the servers, up from the beginning to :meth:`stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "served"
        self.repository.mkdir()
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key], check=True)
        self._session: subprocess.Popen[bytes] | None = None
        self._way = folder / "way"
        self._options = [
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", "ConnectTimeout=60", "-o", "ServerAliveInterval=20", "-o", "ServerAliveCountMax=20",
            "-o", f"ControlPath={self._way}", "-i", str(self.key),
        ]  # fmt: skip
        self._stack = contextlib.ExitStack()
        self.lab = self._stack.enter_context(Lab.up("demo"))
        self._parts = Parts(folder)
        self._stack.callback(self._parts.stop)
        try:
            self._raise()
        except BaseException:
            self.stop()
            raise

    def _raise(self) -> None:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for line in _LAN.strip().splitlines():
            self.lab.run(LINE, line.split(), check=True)
        (self.folder / "dnsmasq.conf").write_text(f"{_DNSMASQ}dhcp-leasefile={self.folder}/leases\n")
        self._start("dnsmasq", "dnsmasq", "-k", "-C", str(self.folder / "dnsmasq.conf"), "--log-facility=-")
        with self.lab.enter(LINE):
            clock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            clock.bind((SERVER, 123))
        threading.Thread(target=_tell_the_time, args=(clock,), daemon=True).start()
        web = Path(__file__).with_name("web.py")
        self._start("web", sys.executable, str(web), SERVER, str(WEB), str(self.repository))
        self._authority()
        self._broker()
        self._colibri("enrol-server", "collector", "enrol-server")
        self.listens(ENROL)
        self._collector = self._colibri("collector", "collector", "run")
        self.listens(MONITOR)

    def _authority(self) -> None:
        """Configuration, and the certificates of broker and collector, by the operator's own commands."""
        self.config = self.folder / "collector.toml"
        self.config.write_text(
            f'[mqtt]\nhost = "{NAME}"\nport = {BROKER}\n'
            f'[mqtt.tls]\nca = "{self.folder}/authority.pem"\ncertificate = "{self.folder}/collector.pem"\n'
            f'key = "{self.folder}/collector.key"\n'
            f'[collector]\ndatabase = "{self.folder}/findings.sqlite3"\nlisten = "{SERVER}:{MONITOR}"\n'
            f'[collector.enrol]\nfolder = "{self.folder}/enrol"\nlisten = "{SERVER}:{ENROL}"\nnames = ["{NAME}"]\n'
        )
        for name in ([NAME, "--server"], ["collector"]):
            self._operator("issue", *name, "--output", str(self.folder))

    def _operator(self, *words: str) -> str:
        whole = [sys.executable, "-m", "probe", "collector", *words, "--config", str(self.config)]
        return subprocess.run(whole, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    def enrolment(self) -> str:
        """The lines of colibri.toml for one device: server, code, fingerprint."""
        return self._operator("enrol", "--label", "emulated")

    def probes(self) -> list[str]:
        """Names that were given."""
        rows = [json.loads(line) for line in self._operator("list", "--json").splitlines()]
        return [row["probe"] for row in rows if row.get("probe")]

    def _broker(self) -> None:
        """Mosquitto with the very configuration that deploy/broker ships; paths and the user alone are others."""
        shipped = ROOT / "deploy/broker"
        lines = [line for line in (shipped / "colibri.conf").read_text().splitlines() if line and line[0] != "#"]
        text = "\n".join(["user root", *lines, ""])
        for old, new in (
            ("/etc/mosquitto/certs/colibri-ca.pem", f"{self.folder}/authority.pem"),
            ("/etc/mosquitto/certs/colibri-broker", f"{self.folder}/{NAME}"),
            ("/etc/mosquitto/certs/colibri-revoked.crl", f"{self.folder}/enrol/revoked.crl"),
            ("/etc/mosquitto/colibri.acl", f"{shipped}/acl"), ("/var/lib/mosquitto", str(self.folder)),
            ("/run/mosquitto", str(self.folder)),
        ):  # fmt: skip
            text = text.replace(old, new)
        (self.folder / "broker.conf").write_text(text)
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        self._start("broker", shutil.which("mosquitto", path=path) or "mosquitto", "-c", f"{self.folder}/broker.conf")
        self.listens(BROKER)

    def _colibri(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        # The name is known to dnsmasq alone: the collector is told it as a home's resolver would.
        hosts = f"{self.folder}/hosts"
        Path(hosts).write_text(f"127.0.0.1 localhost\n{SERVER} {NAME}\n")
        inner = f'mount --bind "{hosts}" /etc/hosts; exec "$0" "$@"'
        whole = ("unshare", "--mount", "sh", "-c", inner, sys.executable, "-m", "probe", *words)
        return self._start(name, *whole, "--config", str(self.config))

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with self.lab.enter(LINE):
            return self._parts.start(name, command)

    def listens(self, port: int) -> None:
        """Wait until a server is there. Raises CannotMeasure with its last words if it ends, or after 30 s."""
        end = time.monotonic() + 30
        while True:
            with self.lab.enter(LINE):
                peer = socket.socket()
            with peer:
                peer.settimeout(5)
                if peer.connect_ex((SERVER, port)) == 0:
                    return
            self._parts.check()
            if time.monotonic() > end:
                raise SystemExit(f"nothing listens on port {port}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End all of it."""
        if self._session is not None:
            self._session.kill()
        self._stack.close()

    def pause(self, *, stopped: bool) -> None:
        """Stop the collector where it stands or let it go on: nothing is acknowledged meanwhile."""
        self._collector.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def settings(self) -> str:
        """A volunteer's colibri.toml, and what opens a lab's addresses."""
        config = self.lab.config(LINE)
        measure = msgspec.structs.replace(config.measure, authorities="", prefixes="")
        lab = config_text(msgspec.structs.replace(config, measure=measure))
        return f'{self.enrolment()}\n{lab}\n[update]\nurl = "http://{NAME}:{WEB}/"\n'

    def targets(self) -> str:
        """The lab's targets on this line."""
        return targets_text(self.lab.targets(LINE))

    def findings(self) -> list[dict[str, object]]:
        """What the collector has committed, in order."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.folder}/findings.sqlite3?mode=ro", uri=True)) as db:
                rows = db.execute(f"SELECT {', '.join(FIELDS)} FROM findings ORDER BY seq").fetchall()  # noqa: S608
        except sqlite3.OperationalError:  # not made yet
            return []
        return [dict(zip(FIELDS, row, strict=True)) for row in rows]

    def served(self) -> int:
        """Bytes of bundles that the web server has sent, in whole or in pieces."""
        lines = (self.folder / "web.log").read_text().splitlines()
        return sum(int(line.split()[2]) for line in lines if ".raucb " in line)

    def login(self, alive: Callable[[], bool], limit: float = 900) -> bool:
        """Log in as the key's owner and stay so: later commands go the same way, without the half minute that a login
        takes in emulation. False: not within ``limit`` seconds, or the device is off."""
        if self._session is not None:
            self._session.kill()
            self._session.wait()
        self._way.unlink(missing_ok=True)
        end = time.monotonic() + limit
        while time.monotonic() < end and alive():
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            self._session = self.lab.popen(LINE, ["ssh", *self._options, "-M", "-N", f"admin@{DEVICE}"], **quiet)
            while alive() and self._session.poll() is None and time.monotonic() < end:
                if self._way.exists():
                    return True
                time.sleep(1)
            time.sleep(5)
        return False

    def ssh(self, command: str, limit: float = 120) -> subprocess.CompletedProcess[str]:
        """Run it there; a device that says nothing for so long is status 255."""
        whole = ["ssh", *self._options, f"admin@{DEVICE}", command]
        try:
            return self.lab.run(LINE, whole, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(whole, 255, "", f"no answer within {limit:.0f} s")

    def fetch(self, path: str) -> tuple[int, str]:
        """The home's page, as a browser in the home gets it: status (0: none came) and text."""
        with self.lab.enter(LINE):
            try:
                with urllib.request.urlopen(f"http://{DEVICE}{path}", timeout=60) as answer:
                    return answer.status, answer.read().decode()
            except OSError as error:
                return 0, str(error)


def _tell_the_time(clock: socket.socket, now: Callable[[], float] = time.time) -> None:
    """A time server (RFC 5905, figure 8): stratum 1, this machine's clock."""
    while True:
        asked, peer = clock.recvfrom(512)
        if len(asked) < 48:
            continue
        stamp = struct.pack(">II", *divmod(int((now() + NTP_EPOCH) * (1 << 32)), 1 << 32))
        head = struct.pack(">BBbbII4s", 0x24, 1, asked[2] & 0x7F, -20, 0, 0, b"LOCL")
        clock.sendto(head + stamp + asked[40:48] + stamp + stamp, peer)
