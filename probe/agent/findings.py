"""From the outcome of a run to the finding that is published (contract 1), and its packets made small."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from probe.model.errors import MalformedRecord
from probe.model.finding import Finding, Line, Probe, Uuid
from probe.model.outcome import Outcome

MOST_EVIDENCE = 64 * 1024
"""Most bytes of compressed evidence that go over the feed (contract 3)."""
_MOST_CAPTURE = 8 << 20  # more than the collector would open


def uuid7(epoch: float, entropy: Callable[[int], bytes]) -> Uuid:
    """A UUIDv7 (RFC 9562, 5.7) of a time in seconds since the epoch and 74 bits of chance."""
    milliseconds = max(0, int(epoch * 1000)) & (1 << 48) - 1
    chance = int.from_bytes(entropy(10), "big")
    number = milliseconds << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def instant(epoch: float) -> str:
    """RFC 3339 in UTC, with milliseconds, of seconds since the epoch."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def assemble(
    outcome: Outcome, *, probe: Probe, line: Line, group: str, entropy: Callable[[int], bytes]
) -> Finding:
    """The finding of an outcome, with its id made here, once; not signed yet.

    ``group``: the target's, from its list; empty: as the measurement says. Raises MalformedRecord if the measurement
    returned what contract 1 does not allow: a collector would refuse it.
    """
    judged = outcome.judgement
    finding = Finding(
        id=uuid7(outcome.started, entropy),
        measurement=outcome.measurement,
        version=outcome.version,
        probe=probe,
        line=line,
        target=msgspec.structs.replace(judged.target, group=group or judged.target.group),
        started_at=instant(outcome.started),
        duration_s=round(outcome.duration, 3),
        clock=outcome.clock,
        verdict=judged.verdict,
        interference=judged.interference,
        rule=judged.rule,
        trials=judged.trials,
        controls=judged.controls,
        confidence=judged.confidence,
        reasons=judged.reasons,
        evidence=outcome.evidence,
        details=judged.details,
    )
    try:
        return msgspec.json.decode(msgspec.json.encode(finding), type=Finding)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise MalformedRecord(f"finding of {outcome.measurement}", str(error)) from None


def pack_evidence(outcome: Outcome) -> bytes | None:
    """The outcome's packets, compressed for the feed; None where the verdict is clean, or they are too large for it."""
    if outcome.judgement.verdict == "clean" or not outcome.pcapng or len(outcome.pcapng) > _MOST_CAPTURE:
        return None
    import gzip  # with all that packs: nothing for a daemon that has nothing to pack yet

    packed = gzip.compress(outcome.pcapng, mtime=0)
    return packed if len(packed) <= MOST_EVIDENCE else None
