"""Judge one message of the feed (contract 3). Pure: bytes in, a value out; nothing that arrives can raise."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import msgspec

from probe.collector import instants
from probe.collector.keyring import Keyring, canonical_key
from probe.collector.verdicts import Accepted, Introduction, NewEvidence, NewFinding, Presence, Rejected
from probe.model import canonical, feed
from probe.model.finding import Finding, Token, Uuid

MAX_FINDING = 256 * 1024
"""Most bytes of a finding. A path of 64 hops with all its details is a tenth of this."""
MAX_EVIDENCE = 64 * 1024
"""Most bytes of compressed evidence (contract 3)."""
MAX_CAPTURE = 8 * 1024 * 1024
"""Most bytes of evidence once opened: a few zeros expand a thousandfold."""
MAX_INFO = 64 * 1024

EARLIEST = instants.from_text("2010-01-01T00:00:00.000Z")
"""No probe is older: a synchronised clock that says so is none (a Pi without one wakes up in 1970)."""
AHEAD = instants.DAY
"""How far in the future a synchronised clock may be before it is called absurd."""
VOUCHED = 10 * instants.MINUTE
"""An unsynchronised clock this close to the collector's own is believed all the same."""


class _Claimant(msgspec.Struct):
    id: str


class _Claim(msgspec.Struct):
    id: Uuid
    probe: _Claimant


_PCAPNG = b"\x0a\x0d\x0d\x0a"  # type of the section header block that opens every file (draft-ietf-opsawg-pcapng, 4.1)


def judge_message(topic: str, payload: bytes, received_at: int, keyring: Keyring) -> Accepted | Rejected:
    """Decide about one message. ``received_at`` in ms. Reads the keyring, never changes it."""
    levels = topic.removeprefix(f"{feed.ROOT}/").split("/")
    if not topic.startswith(f"{feed.ROOT}/") or not _is(levels[0], Token):
        return Rejected("unknown_topic", f"no probe's topic: {topic[:200]!r}")
    match levels:
        case [probe, "finding", measurement]:
            return _judge_finding(probe, measurement, payload, received_at, keyring)
        case [probe, "evidence", finding_id] if _is(finding_id, Uuid):
            return _judge_evidence(probe, finding_id, payload)
        case [probe, "availability"]:
            if payload in (feed.AVAILABLE, feed.GONE):
                return Presence(probe, payload == feed.AVAILABLE)
            return Rejected("bad_schema", "availability is online or offline", probe)
        case [probe, "info"]:
            return _judge_info(probe, payload)
    return Rejected("unknown_topic", f"contract 3 has no topic {topic[:200]!r}", levels[0])


def _judge_finding(
    probe: str, measurement: str, payload: bytes, received_at: int, keyring: Keyring
) -> NewFinding | Rejected:
    if len(payload) > MAX_FINDING:
        return Rejected("too_large", f"{len(payload)} bytes, allowed are {MAX_FINDING}", probe)
    try:
        content = msgspec.json.decode(payload)
        digest = _digest(content)
    except (ValueError, RecursionError) as error:
        return Rejected("bad_json", str(error)[:500], probe)
    try:
        finding = msgspec.convert(content, Finding)
        started_at = instants.from_text(finding.started_at)
    except ValueError as error:
        return Rejected("bad_schema", str(error)[:500], probe, _claimed_id(probe, content))
    if finding.probe.id != probe:
        return Rejected("wrong_probe", f"topic of {probe}, finding of {finding.probe.id}", probe)
    if finding.signature is not None and not canonical.verify(content):
        return Rejected("bad_signature", "the signature does not fit the content", probe, finding.id)
    key = canonical_key(finding.signature.key) if finding.signature is not None else ""
    refusal = keyring.objection(probe, key)
    if refusal is not None:
        return msgspec.structs.replace(refusal, probe=probe, finding_id=finding.id)
    if finding.measurement != measurement:
        detail = f"topic of {measurement}, finding of {finding.measurement}"
        return Rejected("wrong_measurement", detail, probe, finding.id)
    at, absurd = _measured_at(finding, started_at, received_at)
    if absurd:
        return Rejected("bad_clock", absurd, probe, finding.id)
    return NewFinding(finding, payload, digest, at, key)


def _claimed_id(probe: str, content: object) -> str:
    """The id of a finding that is otherwise not understood, so that its probe can be told; empty if there is none."""
    try:
        claim = msgspec.convert(content, _Claim)
    except msgspec.ValidationError:
        return ""
    return claim.id if claim.probe.id == probe else ""


def _measured_at(finding: Finding, started_at: int, received_at: int) -> tuple[int | None, str]:
    """When it was measured, or None if nobody knows; and what is absurd about the date."""
    if finding.clock == "synchronised":
        if not EARLIEST <= started_at <= received_at + AHEAD:
            return None, f"a synchronised clock said {finding.started_at}"
        return started_at, ""
    ended_at = started_at + round(finding.duration_s * instants.SECOND)
    return (started_at if abs(received_at - ended_at) <= VOUCHED else None), ""


def _judge_evidence(probe: str, finding_id: str, payload: bytes) -> NewEvidence | Rejected:
    if len(payload) > MAX_EVIDENCE:
        return Rejected("too_large", f"{len(payload)} bytes, allowed are {MAX_EVIDENCE}", probe)
    try:
        capture = unpack(payload)
    except ValueError as error:
        return Rejected("bad_evidence", str(error), probe)
    return NewEvidence(probe, finding_id, payload, hashlib.sha256(capture).hexdigest())


def unpack(packed: bytes) -> bytes:
    """Open evidence (gzip or zlib) into the pcapng that it holds. Raises ValueError if it is anything else."""
    opener = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        capture = opener.decompress(packed, MAX_CAPTURE)
    except zlib.error as error:
        raise ValueError(f"neither gzip nor zlib ({error})") from error
    if opener.unconsumed_tail:
        raise ValueError(f"opens to more than {MAX_CAPTURE} bytes")
    if not opener.eof or opener.unused_data:
        raise ValueError("compressed data cut short or followed by other bytes")
    if not capture.startswith(_PCAPNG):
        raise ValueError("not a pcapng file")
    return capture


def _judge_info(probe: str, payload: bytes) -> Introduction | Rejected:
    if len(payload) > MAX_INFO:
        return Rejected("too_large", f"{len(payload)} bytes, allowed are {MAX_INFO}", probe)
    try:
        info = msgspec.json.decode(payload, type=feed.Info)
    except msgspec.ValidationError as error:
        return Rejected("bad_schema", str(error)[:500], probe)
    except (ValueError, RecursionError) as error:
        return Rejected("bad_json", str(error)[:500], probe)
    if info.probe != probe:
        return Rejected("wrong_probe", f"topic of {probe}, information of {info.probe}", probe)
    return Introduction(info, payload)


def _digest(content: object) -> bytes:
    """SHA-256 of the content, whatever the order of its keys and its white space."""
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).digest()


def _is(text: str, kind: Any) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


__all__ = ["MAX_CAPTURE", "MAX_EVIDENCE", "MAX_FINDING", "judge_message", "unpack"]
