"""The dossiers of the stories, made end to end: the lab's packets, the collector's store and rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.collector.dossier.make import make
from probe.collector.dossier.pack import unpack
from probe.collector.languages.language import CODES
from probe.collector.sqlite_reader import SqliteReader
from probe.collector.store import IncidentRow, Reader
from probe.collector.study.gather import gather
from probe.collector.study.report import report
from probe.collector.study.tables import tables
from probe.lab.stories import HOUR, Story
from probe.lab.week import Key, Recording, Tell, play, record
from probe.model.errors import CannotMeasure

Recorder = Callable[[Story, Tell], dict[Key, Recording]]
MONTH = "2026-01"
"""In which the week of all stories lies."""


class Written(msgspec.Struct, frozen=True):
    """What came of a story. ``files``: everything that was written; ``dossiers``: the zips, one a language."""

    incidents: list[IncidentRow]
    dossiers: list[Path]
    files: list[Path]


def write(story: Story, folder: Path, tell: Tell, recorder: Recorder = record) -> Written:
    """Record a story, let a collector judge its week, and write a dossier of its widest incident in each language
    and the study of its month. Raises CannotMeasure where the collector finds no incident, StoreError, OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / f"{story.name}.sqlite3"
    for part in ("", "-wal", "-shm"):
        database.with_name(database.name + part).unlink(missing_ok=True)
    tell(f"{story.name}: {story.described}")
    play(story, recorder(story, tell), database)
    reader = SqliteReader(str(database))
    try:
        rows = [row for row in reader.incidents(100) if row.incident.state != "suspected"]
        if not rows:
            raise CannotMeasure(f"the week of {story.name} gave no incident")
        widest = max(rows, key=lambda row: (row.incident.homes, row.incident.heard, -row.incident.began.until, row.id))
        dossiers = _dossiers(reader, story, widest, folder)
        return Written(rows, dossiers, [*dossiers, *_study(reader, story, folder)])
    finally:
        reader.close()


def _dossiers(reader: Reader, story: Story, row: IncidentRow, folder: Path) -> list[Path]:
    # The same key each time: the same packets give the same bytes. It signs what a lab showed, and nothing else.
    key = Ed25519PrivateKey.from_private_bytes(b"colibri lab: signs lab packets  ")
    found = []
    for code in CODES:
        path = folder / f"dossier-{story.name}-{code}.zip"
        made = make(reader, row.id, key, story.end + 12 * HOUR, path.name, to="regulator", language=code)
        path.write_bytes(made.data)
        for name, data in unpack(made.data, path.name).items():
            if name.startswith("cover-"):
                (folder / f"{story.name}-{name}").write_bytes(data)
        found.append(path)
    return found


def _study(reader: Reader, story: Story, folder: Path) -> list[Path]:
    figures = gather(reader, MONTH, story.country, story.end + 12 * HOUR)
    found = []
    for code in CODES:
        path = folder / f"report-{story.name}-{code}.html"
        path.write_text(report(figures, code, story.end + 12 * HOUR), "utf-8")
        found.append(path)
    for name, data in tables(figures):
        path = folder / f"{story.name}-{name}"
        path.write_bytes(data)
        found.append(path)
    return found
