"""``colibri collector dossier``: the evidence of an incident, with a readable cover; ``check``: whether it is whole."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from probe.model.errors import ColibriError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from probe.collector.dossier.check import Again
    from probe.collector.dossier.make import Stamp
    from probe.collector.store import Reader

EXTRA = ("babel", "h11", "jinja2", "starlette", "uvicorn")
"""Modules of the optional extra of the collector; a dossier needs some of them."""
LANGUAGES = ("fr", "ar", "en")
READERS = ("regulator", "icann", "court", "journalist")


def add_actions(verbs: Any) -> None:
    """Declare the actions and their options."""
    dossier = verbs.add_parser("dossier", help="the evidence of one incident, signed, in a zip")
    dossier.add_argument("incident", metavar="INCIDENT", help="its number, as `incidents` lists it")
    dossier.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the database")
    dossier.add_argument("--output", metavar="FILE", help="where to write it (default: INCIDENT.zip here)")
    dossier.add_argument("--key", metavar="FILE", help="Ed25519 key that signs (default: made beside the database)")
    dossier.add_argument("--lang", choices=LANGUAGES, default="en", help="language of the cover (default: en)")
    dossier.add_argument("--to", choices=READERS, default=READERS[0],
                         help=f"whom the cover addresses (default: {READERS[0]})")  # fmt: skip
    dossier.add_argument("--timestamp", metavar="URL",
                         help="have an authority (RFC 3161) stamp it; only a hash leaves")  # fmt: skip
    dossier.add_argument("--timestamp-optional", action="store_true",
                         help="make it also if the authority gives no stamp")  # fmt: skip
    check = verbs.add_parser(
        "check", help="whether a dossier is whole: every hash, every signature, every verdict computed again"
    )
    check.add_argument("file", metavar="FILE", help="the zip")
    check.add_argument("--trust", metavar="FILE",
                       help="authorities of time stamps that are believed (PEM; default: this system's)")  # fmt: skip
    check.add_argument("--json", action="store_true", help="a JSON object")


def actions() -> dict[str, Callable[[argparse.Namespace], int]]:
    """Action → what does it."""
    return {"dossier": _dossier, "check": _check}


def _dossier(args: argparse.Namespace) -> int:
    from pathlib import Path

    from probe.agent.config import load
    from probe.collector.dossier.key import signing_key

    try:
        from probe.collector.dossier.make import make
    except ModuleNotFoundError as error:
        raise lacking(error, "a dossier", "dossier") from error
    if args.timestamp_optional and not args.timestamp:
        raise UsageError("--timestamp-optional needs --timestamp URL")
    reader, database = reader_of(args)
    try:
        path = Path(args.output or f"{args.incident}.zip")
        notes = list[str]()
        made = make(
            reader, args.incident, signing_key(Path(args.key or database.with_name("dossier-key.pem"))), now_ms(),
            path.name, to=args.to, language=args.lang, stamp=_stamper(args, notes),
            consents=load(args.config).collector.consents,
        )  # fmt: skip
    finally:
        reader.close()
    path.write_bytes(made.data)
    for note in [*made.notes, *notes]:
        print(note, file=sys.stderr)
    print(f"{path}: {len(made.data)} bytes")
    return 0


def _stamper(args: argparse.Namespace, notes: list[str]) -> Stamp | None:
    """Has the manifest stamped, if that is wanted; where it is optional, a failure is a note."""
    from probe.collector.dossier.stamp import ask
    from probe.model.errors import Unanswered

    if not args.timestamp:
        return None

    def stamp(manifest: bytes) -> list[tuple[str, bytes]]:
        try:
            return ask(args.timestamp, manifest)
        except Unanswered as error:
            if not args.timestamp_optional:
                raise
            notes.append(f"without a time stamp: {error}")
            return []

    return stamp


def now_ms() -> int:
    """Now in ms; or the time that is set for builds that can be repeated (reproducible-builds.org)."""
    from probe.collector.instants import now

    wanted = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(wanted) * 1000 if wanted.isdigit() and len(wanted) < 12 else now()


def _check(args: argparse.Namespace) -> int:
    from pathlib import Path

    import msgspec

    from probe.collector.dossier.check import check, key_id
    from probe.collector.dossier.pack import unpack

    trust = Path(args.trust).read_bytes() if args.trust else None
    found = check(unpack(Path(args.file).read_bytes(), args.file), args.file, _again, trust)
    if args.json:
        print(msgspec.json.encode(found).decode())
    else:
        print(f"incident {found.incident}: {found.findings} findings, {found.captures} captures, "
              f"signed by key {key_id(found.key)}")  # fmt: skip
        print(f"{found.judged} of {found.captures} captures give the verdict of their finding again")
        if found.stamped is not None:
            print(f"seen on {found.stamped.at} by {found.stamped.authority}")
        print(*found.notes, *found.wrong or ["everything is as it was signed"], sep="\n")
    return 1 if found.wrong else 0


def _again(capture: bytes, name: str) -> Again:
    """A capture judged by the rules of today."""
    from probe import measurements
    from probe.collector.dossier.check import Again
    from probe.engine.record import unseal
    from probe.engine.replay import replay
    from probe.model.errors import MalformedRecord, ReplayMismatch

    _, log = unseal(capture, name)
    if log.measurement not in measurements.names():
        raise MalformedRecord(name, f"there is no measurement {log.measurement!r}")
    version = measurements.load(log.measurement).version
    try:
        judged = replay(capture, name).judgement
    except ReplayMismatch as error:
        return Again("", "", version, log.version, str(error).removeprefix(f"{name}: "))
    technique = judged.interference.technique if judged.interference else ""
    return Again(judged.verdict, technique, version, log.version)


def lacking(error: ModuleNotFoundError, what: str, extra: str) -> ColibriError:
    """What to install, where a part of an extra is missing. Raises the error itself if it is none of one."""
    missing = (error.name or "").partition(".")[0]
    if missing not in EXTRA:
        raise error
    return ColibriError(f"{what} needs {missing}: pip install 'colibri-probe[{extra}]'")


def reader_of(args: argparse.Namespace) -> tuple[Reader, Path]:
    """The store that the configuration names, and its file. Raises StoreError, ConfigError."""
    from pathlib import Path

    from probe.agent.config import load
    from probe.collector import stores

    config = load(args.config).collector
    return stores.reader(config), Path(config.database)
