"""``colibri replay FILE``: the verdict again, from the evidence alone; or what a capture of others shows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

DIFFERS = 10
"""Exit status of ``--exit-verdict`` when today's rules judge otherwise than was recorded, or find interference in a
capture of others, for which nothing was recorded."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="evidence, or any pcap or pcapng file (.gz too)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a file")
    parser.add_argument(
        "--exit-verdict",
        action="store_true",
        help=f"exit with {DIFFERS} when a verdict differs from the recorded one, or a capture of others shows "
        "interference",
    )


def run(args: argparse.Namespace) -> int:
    """Judge each file. Raises MalformedRecord, ReplayMismatch."""
    from probe.engine.record import is_evidence

    status = 0
    for path in args.files:
        data = _read(path)
        judge = _again if is_evidence(data) else _foreign
        if judge(data, path, as_json=args.json) and args.exit_verdict:
            status = DIFFERS
    return status


def _read(path: Path) -> bytes:
    import gzip
    import zlib

    from probe.model.errors import MalformedRecord

    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedRecord(str(path), f"not whole: {error}") from None


def _again(data: bytes, path: Path, *, as_json: bool) -> bool:
    """Evidence of our own. Whether today's verdict is another than the recorded one."""
    from probe.engine.replay import replay

    again = replay(data, str(path))
    judged, log = again.judgement, again.log
    if as_json:
        recorded = {"verdict": log.verdict, "technique": log.technique, "rule": log.rule, "version": log.version}
        _print({
            "file": str(path), "measurement": log.measurement, "agrees": again.agrees, "recorded": recorded,
            "version": again.version, "judgement": judged,
        })  # fmt: skip
        return not again.agrees
    _tell(f"{path}: {log.measurement} of {judged.target.input}", judged)
    if again.agrees:
        print(f"  as recorded (rules version {log.version}, now {again.version})")
    else:
        print(f"  OTHERWISE than recorded: {log.verdict} {log.technique} by version {log.version} of the rules")
    return not again.agrees


def _foreign(data: bytes, path: Path, *, as_json: bool) -> bool:
    """A capture of others. Whether it shows interference."""
    from probe.engine.thirdparty import VERSION, judge

    found = judge(data, str(path))
    if as_json:
        _print({"file": str(path), "measurement": "capture", "version": VERSION, "judgements": found})
    else:
        for one in found:
            _tell(f"{path}: {one.rule.partition('/')[0]} of {one.target.input}", one)
        print("  a capture of others: judged as far as its packets allow")
    return found[0].verdict == "interfered"


def _tell(head: str, judged: Any) -> None:
    technique = judged.interference.technique if judged.interference else ""
    print(f"{head}: {judged.verdict} {technique}".rstrip())
    for reason in judged.reasons:
        print(f"  {reason}")


def _print(value: dict[str, Any]) -> None:
    import msgspec

    print(msgspec.json.encode(value).decode(), flush=True)
