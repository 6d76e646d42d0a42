"""Judge one message of the feed (contract 3). Pure: bytes in, a value out; nothing that arrives can raise.

In two steps, because what takes longest, the signature, can be checked by other threads in between: `draft` says what
becomes of a message if its signature is right, `conclude` holds it against the answer and the keyring.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from typing import Any

import msgspec

from probe.collector import heartbeats, instants
from probe.collector.keyring import Keyring
from probe.collector.signatures import Claim, genuine
from probe.collector.verdicts import Accepted, Introduction, NewEvidence, NewFinding, Presence, Rejected
from probe.model import canonical, feed
from probe.model.errors import MalformedRecord
from probe.model.finding import Finding, Token, Uuid
from probe.model.heartbeat import Heartbeat

MAX_FINDING = 256 * 1024
"""Most bytes of a finding. A path of 64 hops with all its details is a tenth of this."""
MAX_EVIDENCE = 64 * 1024
"""Most bytes of compressed evidence (contract 3)."""
MAX_CAPTURE = 8 * 1024 * 1024
"""Most bytes of evidence once opened: a few zeros expand a thousandfold."""
MAX_INFO = 64 * 1024

_LEVELS = f"{feed.ROOT}/probe/finding/measurement".count("/")
_FINDING = msgspec.json.Decoder(Finding)


class _Claimant(msgspec.Struct):
    id: str


class _Claim(msgspec.Struct):
    id: Uuid
    probe: _Claimant


_PCAPNG = b"\x0a\x0d\x0d\x0a"  # type of the section header block that opens every file (draft-ietf-opsawg-pcapng, 4.1)


class Draft(msgspec.Struct, frozen=True):
    """What becomes of a message, if nothing else is said against it. ``finding``: of a finding (or heartbeat) that was
    understood; its probe's key is still to be asked for. ``claim``: its signature; ``unfit``: one that can't be right.
    """

    judgement: Accepted | Rejected
    finding: Finding | Heartbeat | None = None
    claim: Claim | None = None
    unfit: bool = False


def judge_message(topic: str, payload: bytes, received_at: int, keyring: Keyring) -> Accepted | Rejected:
    """Decide about one message. ``received_at`` in ms. Reads the keyring, never changes it."""
    one = draft(topic, payload, received_at)
    return conclude(one, one.claim is not None and genuine(one.claim), keyring)


def draft(topic: str, payload: bytes, received_at: int) -> Draft:
    """The first step: everything but the signature and the keyring."""
    levels = topic.removeprefix(f"{feed.ROOT}/").split("/")
    if not topic.startswith(f"{feed.ROOT}/") or not _is_token(levels[0]):
        return Draft(Rejected("unknown_topic", f"no probe's topic: {topic[:200]!r}"))
    match levels:
        case [probe, "finding", measurement]:
            return _draft_finding(probe, measurement, payload, received_at)
        case [probe, "heartbeat"]:
            beat = heartbeats.draft(probe, payload, received_at)
            return Draft(beat.judgement, beat.heartbeat, beat.claim)
        case [probe, "evidence", finding_id] if _is(finding_id, Uuid):
            return Draft(_judge_evidence(probe, finding_id, payload))
        case [probe, "availability"]:
            if payload in (feed.AVAILABLE, feed.GONE):
                return Draft(Presence(probe, payload == feed.AVAILABLE))
            return Draft(Rejected("bad_schema", "availability is online or offline", probe))
        case [probe, "info"]:
            return Draft(_judge_info(probe, payload))
    return Draft(Rejected("unknown_topic", f"contract 3 has no topic {topic[:200]!r}", levels[0]))


def is_finding(topic: str) -> bool:
    """Whether it is a finding's topic, or wants to be."""
    return topic.count("/") == _LEVELS and topic.split("/")[-2] == "finding"


def conclude(one: Draft, is_genuine: bool, keyring: Keyring) -> Accepted | Rejected:
    """The second step. ``is_genuine``: whether the draft's claim is true."""
    finding = one.finding
    if finding is None:
        return one.judgement
    probe = finding.probe if isinstance(finding, Heartbeat) else finding.probe.id
    if one.unfit or (one.claim is not None and not is_genuine):
        return Rejected("bad_signature", "the signature does not fit the content", probe, finding.id)
    # A key that a true signature was checked with is in its one spelling.
    refusal = keyring.objection(probe, one.claim.key if one.claim is not None else "")
    if refusal is not None:
        return msgspec.structs.replace(refusal, probe=probe, finding_id=finding.id)
    return one.judgement


def digest_of(payload: bytes) -> bytes:
    """The same for the same content, whatever the order of its keys and its white space; 16 bytes of SHA-256.

    Raises ValueError or RecursionError for what is no JSON, TypeError for what is no object.
    """
    return _digest(payload)[0]


def _draft_finding(probe: str, measurement: str, payload: bytes, received_at: int) -> Draft:
    if len(payload) > MAX_FINDING:
        return Draft(Rejected("too_large", f"{len(payload)} bytes, allowed are {MAX_FINDING}", probe))
    digest, signed = b"", None
    try:
        digest, signed = _digest(payload)
    except TypeError:
        pass  # no object: the types say what they expected
    except (ValueError, RecursionError) as error:
        return Draft(Rejected("bad_json", str(error)[:500], probe))
    try:
        finding = _FINDING.decode(payload)
        started_at = instants.from_text(finding.started_at)
    except RecursionError as error:
        return Draft(Rejected("bad_json", str(error)[:500], probe))
    except ValueError as error:
        return Draft(Rejected("bad_schema", str(error)[:500], probe, _claimed_id(probe, payload)))
    if finding.probe.id != probe:
        return Draft(Rejected("wrong_probe", f"topic of {probe}, finding of {finding.probe.id}", probe))
    signature = finding.signature
    claim = Claim(signed, signature.key, signature.value) if signature is not None and signed is not None else None
    ended_at = started_at + round(finding.duration_s * instants.SECOND)
    at, absurd = instants.believed(started_at, ended_at, received_at, synchronised=finding.clock == "synchronised")
    judgement: NewFinding | Rejected
    if finding.measurement != measurement:
        detail = f"topic of {measurement}, finding of {finding.measurement}"
        judgement = Rejected("wrong_measurement", detail, probe, finding.id)
    elif absurd:
        judgement = Rejected("bad_clock", absurd, probe, finding.id)
    else:
        judgement = NewFinding(finding, payload, digest, at, signature.key if signature is not None else "")
    return Draft(judgement, finding, claim, unfit=signature is not None and claim is None)


def _digest(payload: bytes) -> tuple[bytes, bytes | None]:
    """The digest of a finding's content, and what its signature is made over; None where it has no canonical form."""
    try:
        text, signature = canonical.signed_text(payload)
    except MalformedRecord:
        return hashlib.sha256(msgspec.json.encode(msgspec.json.decode(payload), order="sorted")).digest()[:16], None
    whole = hashlib.sha256(text)
    whole.update(msgspec.json.encode(signature, order="sorted"))
    return whole.digest()[:16], text


def _claimed_id(probe: str, payload: bytes) -> str:
    """The id of a finding that is otherwise not understood, so that its probe can be told; empty if there is none."""
    try:
        claim = msgspec.json.decode(payload, type=_Claim)
    except msgspec.ValidationError:
        return ""
    return claim.id if claim.probe.id == probe else ""


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


@functools.lru_cache(100_000)
def _is_token(text: str) -> bool:
    return _is(text, Token)


def _is(text: str, kind: Any) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


__all__ = [
    "MAX_CAPTURE", "MAX_EVIDENCE", "MAX_FINDING", "Draft", "conclude", "digest_of", "draft", "is_finding",
    "judge_message", "unpack",
]  # fmt: skip
