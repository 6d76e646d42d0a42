"""A week of simulated time in the lab: real measurements of real packets, told again at the hours of a story.

Every home measures each of its tasks once in a lab that does nothing and, where its line is cut, once in a lab that
does it. Through the week each finding is one of its own home's, moved in time, packets and log alike, and signed anew:
a replay of it gives what the lab's packets showed. The collector's own rules then date and gather the incidents.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from random import Random

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.agent.findings import instant, uuid7
from probe.collector.ingest import judge_message
from probe.collector.keyring import Keyring
from probe.collector.sqlite_store import SqliteStore
from probe.collector.verdicts import Judged
from probe.engine.observe import Record
from probe.engine.record import seal, unseal
from probe.lab.files import config_text
from probe.lab.lab import Lab
from probe.lab.scenario import Scenario
from probe.lab.stories import START, Home, Story, Task
from probe.model import canonical, feed
from probe.model.config import ControlConfig, ProbeConfig
from probe.model.errors import CannotMeasure
from probe.model.finding import Finding, Probe
from probe.model.outcome import Entry, ExchangeLog

Tell = Callable[[str], None]
_PATIENCE = 240.0  # seconds that one measurement may take
_BATCH = 200


class Key(msgspec.Struct, frozen=True):
    """Whose recording: the lab's operator, the home's number, the task's number, whether the line was cut."""

    operator: str
    home: int
    task: int
    cut: bool


class Recording(msgspec.Struct, frozen=True):
    """A finding as the lab's probe made it, with its evidence (pcapng)."""

    finding: Finding
    evidence: bytes


def record(story: Story, tell: Tell) -> dict[Key, Recording]:
    """Measure everything that the story needs. Raises CannotMeasure, UsageError."""
    found: dict[Key, Recording] = {}
    for cut in (False, True):
        scenario = Scenario(
            name=f"week-{story.name}", description=story.described, boxes=story.boxes if cut else ()
        )
        wanted = [home for home in story.homes if not cut or home.cut is not None]
        with Lab.up(scenario) as lab, ThreadPoolExecutor(len(wanted)) as pool:
            for some in pool.map(lambda home, cut=cut, lab=lab: _home(lab, story, home, cut, tell), wanted):
                found |= some
    return found


def _home(lab: Lab, story: Story, home: Home, cut: bool, tell: Tell) -> dict[Key, Recording]:
    """One line's recordings: its homes measure one after the other, as there is one line in the lab."""
    found = {}
    for number in range(home.homes):
        for place, task in enumerate(story.tasks):
            if cut and not task.hit:
                continue
            recording = _measure(lab, home.operator, task)
            tell(f"{home.line.operator}, home {number + 1}: {task.measurement} {task.target}: "
                 f"{recording.finding.verdict}")  # fmt: skip
            found[Key(home.operator, number, place, cut)] = recording
    return found


def _measure(lab: Lab, operator: str, task: Task) -> Recording:
    with tempfile.TemporaryDirectory() as folder:
        config = msgspec.structs.replace(
            lab.config(operator), probe=ProbeConfig(id="lab", state_dir=folder), control=ControlConfig(socket="")
        )
        Path(folder, "colibri.toml").write_text(config_text(config), "utf-8")
        words = [
            sys.executable, "-m", "probe", "measure", task.measurement.replace("_", "-"), task.target, "--json",
            "--quiet", "--config", f"{folder}/colibri.toml", "--pcap", f"{folder}/evidence.pcapng",
        ]  # fmt: skip
        for name, value in task.options.items():
            words += [f"--{name}", value]
        try:
            done = lab.run(operator, words, capture_output=True, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise CannotMeasure(f"{task.measurement} of {task.target} took more than {_PATIENCE:.0f} s") from None
        if done.returncode:
            last = " ".join(done.stderr.decode(errors="replace").strip().splitlines()[-1:])
            raise CannotMeasure(f"{task.measurement} of {task.target}: {last}")
        finding = msgspec.json.decode(done.stdout.splitlines()[-1], type=Finding)
        return Recording(finding, Path(folder, "evidence.pcapng").read_bytes())


def moved(recording: Recording, at: int) -> Recording:
    """The same, begun at another time (ms): packets, log and finding alike. Raises MalformedRecord."""
    records, log = _opened(recording.evidence)
    first = min(
        [record.ns for record in records] + [entry.began for batch in log.batches for entry in batch if entry.began]
    )
    by = at * 1_000_000 - first
    shifted = msgspec.structs.replace(log, batches=[[_entry(entry, by) for entry in batch] for batch in log.batches])
    evidence, data = seal([msgspec.structs.replace(record, ns=record.ns + by) for record in records], shifted)
    finding = msgspec.structs.replace(_dated(recording.finding, at), evidence=evidence)
    return Recording(finding, data)


@lru_cache(32)
def _opened(evidence: bytes) -> tuple[list[Record], ExchangeLog]:
    """A recording is told many times in a week."""
    return unseal(evidence)


def _dated(finding: Finding, at: int) -> Finding:
    return msgspec.structs.replace(finding, started_at=instant(at / 1000), clock="synchronised")


def _entry(entry: Entry, by: int) -> Entry:
    return msgspec.structs.replace(
        entry, began=entry.began + by if entry.began else 0, ended=entry.ended + by if entry.ended else 0
    )


def play(story: Story, recordings: dict[Key, Recording], database: Path) -> None:
    """Fill a new store with the story's week, through the collector's own judgement. Raises StoreError."""
    store = SqliteStore(str(database))
    try:
        messages = sorted(_week(story, recordings), key=lambda message: message[0])
        for start in range(0, len(messages), _BATCH):
            keyring = Keyring({}, store.pinned_keys())
            store.commit([
                Judged(topic, payload, at, judge_message(topic, payload, at, keyring))
                for at, topic, payload in messages[start : start + _BATCH]
            ])  # fmt: skip
    finally:
        store.close()


def _week(story: Story, recordings: dict[Key, Recording]) -> Iterator[tuple[int, str, bytes]]:
    """(received, topic, payload) of every message."""
    for home in story.homes:
        for number in range(home.homes):
            name = f"{home.operator}-{number + 1}"
            key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{story.name} {name}".encode()).digest())
            chance = Random(f"{story.name} {name}")
            at = START + chance.randrange(story.every)
            while at < story.end:
                for place, task in enumerate(story.tasks):
                    cut = task.hit and _is_cut(home, at, chance)
                    recording = recordings[Key(home.operator, number, place, cut)]
                    yield from _messages(recording, at + place * 60_000, name, home, task, key, chance)
                at += story.every + chance.randrange(-600_000, 600_000)


def _is_cut(home: Home, at: int, chance: Random) -> bool:
    since = (at - START) / 3_600_000
    return home.cut is not None and home.cut.since <= since < home.cut.until and chance.random() < home.cut.share


def _messages(
    recorded: Recording, at: int, name: str, home: Home, task: Task, key: Ed25519PrivateKey, chance: Random
) -> Iterator[tuple[int, str, bytes]]:  # fmt: skip
    # The packets of a clean result are never sent: only its finding tells the time.
    clean = recorded.finding.verdict == "clean"
    recording = Recording(_dated(recorded.finding, at), b"") if clean else moved(recorded, at)
    finding = recording.finding
    told = msgspec.structs.replace(
        finding, id=uuid7(at / 1000, chance.randbytes), probe=Probe(name, finding.probe.software), line=home.line,
        target=msgspec.structs.replace(finding.target, group=task.group), signature=None,
    )  # fmt: skip
    received = at + round(finding.duration_s * 1000) + 2000
    signed = canonical.sign(told, key)
    yield received, feed.finding(name, signed.measurement), msgspec.json.encode(signed)
    if not clean:
        yield received + 1, feed.evidence(name, signed.id), gzip.compress(recording.evidence, 6, mtime=0)
