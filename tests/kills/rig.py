"""Random kill -9 of probes, broker and collector, and what is left then: ``python -m tests.kills.rig --seed 1``.

Real processes over loopback: probes (:mod:`tests.kills.driver` says what of them is left out), Mosquitto with
persistence, ``colibri collector run``. A client repeats some findings long after they came; one probe's line is cut for
the first half, and its findings are three days old; the broker stays away for longer now and then. In the end every
finding that was promised (in a probe's ledger) must be in the store once, and be counted once in its roll-up.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import IO

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from probe.model import feed

ROOT = Path(__file__).parents[2]
PROBES, TARGETS = 6, 18  # each target is measured once a second
CUT = "p-cut"
AGO = 3 * 86400
REPEATED = 0.03  # share of the findings that come again, by another hand
LONG_AWAY = 0.25  # share of the broker's deaths after which it stays away for long
HALF, SETTLE, UUID = 0.5, 180.0, 36


class Result(msgspec.Struct):
    """What came of it. ``made``: promised findings; ``unpromised``: stored ones of which a killed probe could not write
    the ledger line any more; ``counted``: findings in the hourly roll-up; ``again``: came another time, and were known;
    ``heartbeats``: probes of which there is one."""

    seed: int
    seconds: float
    kills: dict[str, int]
    made: int
    stored: int
    lost: int
    doubled: int
    unpromised: int
    counted: int
    again: int
    rejected: int
    late: int
    heartbeats: int

    def table(self) -> str:
        """For a page."""
        killed = ", ".join(f"{who} {n}" for who, n in sorted(self.kills.items()))
        rows = {
            "kill -9": f"{sum(self.kills.values())} ({killed})",
            "findings promised by probes": f"{self.made:,}",
            "stored": f"{self.stored:,} ({self.unpromised} of them on the card before the probe could say so)",
            "**lost**": f"**{self.lost}**",
            "**doubled**": f"**{self.doubled}** ({self.counted:,} in the roll-up)",
            "came again and were known": f"{self.again:,}",
            "delivered days late": f"{self.late:,}",
            "rejected": f"{self.rejected}",
            "seed, seconds": f"{self.seed}, {self.seconds:.0f}",
        }
        return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


class Rig:
    """The processes, in a folder. ``log`` takes a JSON line for each thing done to them."""

    def __init__(self, folder: Path, seed: int, log: IO[str]) -> None:
        self.folder, self.seed, self.random, self._log = folder, seed, Random(seed), log
        self.port, self._nowhere = _free_port(), _free_port()
        self.probes = [*(f"p-{n}" for n in range(1, PROBES)), CUT]
        self.cut, self.idle = True, False
        self.began = time.monotonic()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.database = folder / "findings.sqlite3"
        (folder / "mosquitto.conf").write_text(
            f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\nautosave_interval 5\n"
            f"persistence_location {folder}/\nmax_queued_messages 0\nmax_inflight_messages 0\n"
        )
        (folder / "collector.toml").write_text(
            f'[mqtt]\nhost = "127.0.0.1"\nport = {self.port}\n[collector]\ndatabase = "{self.database}"\n'
            f'listen = "127.0.0.1:{_free_port()}"\nbatch = 50\n'
        )
        (folder / "targets.toml").write_text("".join(
            f'[[targets]]\ntarget = "t{n}.example"\ngroup = "g"\nmeasurements = ["dns_injection"]\nevery = 1\n'
            for n in range(TARGETS)
        ))  # fmt: skip

    def start(self, who: str) -> None:
        """Start one of them."""
        if who == "broker":
            program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
            command = [str(program), "-c", str(self.folder / "mosquitto.conf")]
        elif who == "collector":
            command = [sys.executable, "-m", "probe", "collector", "run", "--config", f"{self.folder}/collector.toml"]
        else:
            config = self.folder / f"{who}.toml"
            port = self._nowhere if who == CUT and self.cut else self.port
            config.write_text(
                f'[probe]\nid = "{who}"\nstate_dir = "{self.folder}/{who}"\n[control]\nsocket = ""\n'
                f'[line]\noperator = "Atlas"\nasn = 64501\ncountry = "MA"\n[safety]\ntarget_spacing = 0\n'
                f"[targets]\nfiles = {[] if self.idle else [f'{self.folder}/targets.toml']}\n"
                f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nresend_after = 5\n'
            )
            ago = f"{AGO if who == CUT else 0}"
            command = [sys.executable, "-m", "tests.kills.driver", f"{config}", f"{self.folder}/{who}.ledger", ago]
        with (self.folder / f"{who}.log").open("ab") as output:
            self.running[who] = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)

    def kill(self, who: str) -> None:
        """kill -9, and wait until it is gone. RuntimeError if it had ended by itself."""
        process = self.running.pop(who)
        if process.poll() is not None:
            raise RuntimeError(f"{who} ended by itself ({process.returncode}): {self.folder}/{who}.log")
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def tell(self, what: str, **more: object) -> None:
        """A line of the log."""
        at = round(time.monotonic() - self.began, 1)
        self._log.write(json.dumps({"s": at, "what": what, **more, "made": len(self.promised())}) + "\n")
        self._log.flush()

    def promised(self) -> set[str]:
        """Ids in the ledgers; a line that was cut off in its midst is none."""
        lines = (line for path in self.folder.glob("*.ledger") for line in path.read_text().split("\n"))
        return {line for line in lines if len(line) == UUID}

    def waiting(self) -> int:
        """Findings in all spools."""
        return sum(_ask(self.folder / who / "spool.sqlite3", "SELECT count(*) FROM finding") for who in self.probes)

    def turn(self) -> list[str]:
        """Kill somebody (now and then two at once), and start them again after a while. Returns who was killed."""
        kind = self.random.choices(["probe", "collector", "broker", "two"], [50, 20, 20, 10])[0]
        choice = [self.random.choice(self.probes) if kind == "probe" else kind]
        if kind == "two":
            choice = self.random.sample(["collector", "broker", self.random.choice(self.probes)], 2)
        for who in choice:
            self.kill(who)
        self.tell("killed", who=choice)
        long_away = "broker" in choice and self.random.random() < LONG_AWAY
        time.sleep(self.random.uniform(6, 12) if long_away else self.random.uniform(0, 1))
        for who in choice:
            self.start(who)
        time.sleep(self.random.uniform(0.3, 4.5))
        return ["probe" if who in self.probes else who for who in choice]

    def mend(self) -> None:
        """The cut line is whole again."""
        self.kill(CUT)
        self.cut = False
        self.start(CUT)
        self.tell("the cut line is whole")

    def settle(self) -> None:
        """No more findings are made; wait until every spool is empty, and end everybody as systemd would.

        RuntimeError if that does not happen.
        """
        self.idle = True
        for who in self.probes:
            self.end(who)
            self.start(who)
        deadline = time.monotonic() + SETTLE
        while waiting := self.waiting():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{waiting} findings still wait in the spools")
            time.sleep(0.5)
        self.tell("all spools are empty")
        for who in [*self.probes, "collector", "broker"]:
            self.end(who)

    def end(self, who: str) -> None:
        """SIGTERM, and a clean end. RuntimeError if it is none."""
        process = self.running.pop(who)
        process.terminate()
        if process.wait(30) != 0:
            raise RuntimeError(f"{who} ended with {process.returncode}: {self.folder}/{who}.log")

    def stop(self) -> None:
        """Whatever happened: nothing is left running."""
        for process in self.running.values():
            process.kill()
            process.wait(10)


class Repeater:
    """Hears findings, and says some of them again after many others."""

    def __init__(self, port: int, random: Random) -> None:
        self._random, self._kept = random, list[mqtt.MQTTMessage]()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "repeater", protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(feed.finding("+", "+"), qos=0)
        self._client.on_message = self._on_message
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if self._random.random() < REPEATED:
            self._kept.append(message)
        if len(self._kept) > 30:  # its own words come back to it, and may be said a third time
            old = self._kept.pop(self._random.randrange(len(self._kept)))
            client.publish(old.topic, old.payload, qos=1)

    def close(self) -> None:
        """Stop."""
        self._client.disconnect()
        self._client.loop_stop()


def run(folder: Path, seed: int, kills: int, findings: int, log: IO[str]) -> Result:
    """Kill until there were so many kills and findings, let everything settle, and look. RuntimeError where something
    ended by itself or never settled."""
    rig = Rig(folder, seed, log)
    count = {"probe": 0, "collector": 0, "broker": 0}
    repeater = Repeater(rig.port, Random(seed))
    try:
        for who in ("broker", "collector", *rig.probes):
            rig.start(who)
        time.sleep(4)
        while sum(count.values()) < kills or len(rig.promised()) < findings:
            for kind in rig.turn():
                count[kind] += 1
            done = min(sum(count.values()) / kills, len(rig.promised()) / findings)
            if rig.cut and done >= HALF:
                rig.mend()
                count["probe"] += 1
        repeater.close()
        rig.settle()
    finally:
        repeater.close()
        rig.stop()
    return look(rig, count)


def look(rig: Rig, kills: dict[str, int]) -> Result:
    """Hold the store against the ledgers."""
    made = rig.promised()
    with closing(sqlite3.connect(rig.database)) as db:
        stored = {row[0] for row in db.execute("SELECT id FROM findings")}
        serials = (
            "SELECT count(*) - count(DISTINCT probe || (CAST(body AS TEXT) ->> '$.details.start') || ' '"
            " || (CAST(body AS TEXT) ->> '$.details.serial')) FROM findings"
        )
        (twice,), (counted,) = db.execute(serials).fetchone(), db.execute("SELECT sum(n) FROM hourly").fetchone()
        (late,) = db.execute("SELECT count(*) FROM findings WHERE received_at - at > 86400000").fetchone()
        (alive,) = db.execute("SELECT count(DISTINCT probe) FROM life").fetchone()
        counters = dict(db.execute("SELECT name, value FROM counters"))
    return Result(
        seed=rig.seed, seconds=round(time.monotonic() - rig.began, 1), kills=kills, made=len(made), stored=len(stored),
        lost=len(made - stored), doubled=twice + abs(counted - len(stored)), unpromised=len(stored - made),
        counted=counted, again=counters.get("duplicate", 0), late=late, heartbeats=alive,
        rejected=sum(n for name, n in counters.items() if name.startswith("rejected.")),
    )  # fmt: skip


def _ask(path: Path, query: str) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=20)) as db:
        return int(db.execute(query).fetchone()[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """0 if nothing was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=46)
    parser.add_argument("--kills", type=int, default=100, help="at least so many")
    parser.add_argument("--findings", type=int, default=20_000, help="at least so many")
    parser.add_argument("--log", default="var/kills.jsonl", help="a JSON line for each kill")
    args = parser.parse_args()
    Path(args.log).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Path(args.log).open("w") as log:
        result = run(Path(folder), args.seed, args.kills, args.findings, log)
    print(result.table())
    return 1 if result.lost or result.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
