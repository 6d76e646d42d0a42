"""``colibri replay FILE``: the verdict again, from the evidence alone."""

from __future__ import annotations

import argparse
from pathlib import Path

DIFFERS = 10
"""Exit status of ``--exit-verdict`` when today's rules judge otherwise than was recorded."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a pcapng that Colibri wrote (.gz too)")
    parser.add_argument("--json", action="store_true", help="one JSON object a file")
    parser.add_argument(
        "--exit-verdict", action="store_true", help=f"exit with {DIFFERS} when a verdict differs from the recorded one"
    )


def run(args: argparse.Namespace) -> int:
    """Judge each file again. Raises MalformedRecord, ReplayMismatch."""
    import gzip

    import msgspec

    from probe.engine.replay import replay
    from probe.model.errors import MalformedRecord

    differs = False
    for path in args.files:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            try:
                data = gzip.decompress(data)
            except (OSError, EOFError) as error:
                raise MalformedRecord(str(path), f"not whole: {error}") from None
        again = replay(data, str(path))
        differs |= not again.agrees
        judged, log = again.judgement, again.log
        technique = judged.interference.technique if judged.interference else ""
        if args.json:
            print(
                msgspec.json.encode(
                    {
                        "file": str(path),
                        "measurement": log.measurement,
                        "agrees": again.agrees,
                        "recorded": {
                            "verdict": log.verdict, "technique": log.technique,
                            "rule": log.rule, "version": log.version,
                        },
                        "version": again.version,
                        "judgement": judged,
                    }
                ).decode(),
                flush=True,
            )
            continue
        print(f"{path}: {log.measurement} of {judged.target.input}: {judged.verdict} {technique}".rstrip())
        for reason in judged.reasons:
            print(f"  {reason}")
        if again.agrees:
            print(f"  as recorded (rules version {log.version}, now {again.version})")
        else:
            print(f"  OTHERWISE than recorded: {log.verdict} {log.technique} by version {log.version} of the rules")
    return DIFFERS if differs and args.exit_verdict else 0
