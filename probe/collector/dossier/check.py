"""Whether a dossier is whole and true to itself, from its bytes alone: every hash, every signature, every capture, its
time stamp; and whether its captures give the verdicts that its findings claim."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping

import msgspec

from probe.collector.dossier.manifest import KEY, MANIFEST, SIGNATURE, Manifest, sha256
from probe.collector.dossier.proof import FILE, faults
from probe.collector.dossier.stamp import REQUEST, RESPONSE, Stamped, verify
from probe.collector.ingest import unpack as open_capture
from probe.model import canonical
from probe.model.errors import ColibriError, MalformedRecord, UsageError
from probe.model.finding import Finding


class Again(msgspec.Struct, frozen=True):
    """What the rules of today make of a capture. ``failure``: why they can't judge it; ``version``, ``recorded``: of
    these rules, and of those that judged it first."""

    verdict: str
    technique: str
    version: str
    recorded: str
    failure: str = ""


Judge = Callable[[bytes, str], Again]
"""Judges a capture (its bytes, its name) anew; handed in, since only the engine can. Raises MalformedRecord."""


class Checked(msgspec.Struct, frozen=True):
    """What was found. ``key``: who signed, in base64; ``judged``: captures that give their finding's verdict again;
    ``wrong``: a line for each thing that is not as it should be; ``notes``: what could not be told."""

    incident: str
    key: str
    findings: int
    captures: int
    wrong: list[str]
    judged: int = 0
    stamped: Stamped | None = None
    notes: list[str] = []


def check(
    files: Mapping[str, bytes], where: str, judge: Judge | None = None, trust: bytes | None = None
) -> Checked:  # fmt: skip
    """Check a dossier's files. ``judge``: computes verdicts again; ``trust``: authorities (PEM) of time stamps, None:
    this system's. Raises MalformedRecord where there is no manifest that can be read."""
    try:
        manifest = msgspec.json.decode(files[MANIFEST], type=Manifest)
    except KeyError:
        raise MalformedRecord(where, f"is no dossier: it holds no {MANIFEST}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedRecord(where, f"{MANIFEST}: {error}") from None
    wrong = [*_listed(files, manifest), *_signature(files)]
    findings = [line for line in files.get("findings.jsonl", b"").splitlines() if line.strip()]
    keys = _keys(files, wrong)
    captures = {name for name in files if name.startswith("evidence/")}
    named: set[str] = set()
    for number, line in enumerate(findings, 1):
        wrong += _finding(number, line, keys, files, named)
    wrong += faults(files.get(FILE, b""), keys)
    wrong += [f"{name}: no finding is about it" for name in sorted(captures - named)]
    key = files.get(KEY, b"").decode("ascii", "replace").strip()
    judged, notes = 0, list[str]()
    if judge is not None:
        judged = _judged(findings, files, judge, wrong, notes)
    stamped = _stamp(files, trust, wrong, notes)
    return Checked(manifest.incident, key, len(findings), len(captures), wrong, judged, stamped, notes)


def _judged(
    findings: list[bytes], files: Mapping[str, bytes], judge: Judge, wrong: list[str], notes: list[str]
) -> int:  # fmt: skip
    """How many captures give the verdict that their finding claims."""
    agree = 0
    for line in findings:
        try:
            finding = msgspec.json.decode(line, type=Finding)
            name = f"evidence/{finding.id}.pcapng.gz"
            if name not in files:
                continue
            again = judge(open_capture(files[name]), name)
        except (msgspec.MsgspecError, ValueError):
            continue  # told already
        except MalformedRecord as error:
            wrong.append(str(error))
            continue
        claimed = f"{finding.verdict} {finding.interference.technique if finding.interference else ''}".strip()
        if not again.failure and f"{again.verdict} {again.technique}".strip() == claimed:
            agree += 1
            continue
        told = again.failure or f"judged anew it is {again.verdict} {again.technique}".strip()
        # Other rules than those of then may judge otherwise, and that is no forgery; the same ones may not.
        same = again.version == again.recorded == finding.version
        rules = "" if same else f" (rules version {finding.version}, today's are {again.version})"
        (wrong if same else notes).append(f"{name}: {told}, its finding says {claimed}{rules}")
    return agree


def _stamp(files: Mapping[str, bytes], trust: bytes | None, wrong: list[str], notes: list[str]) -> Stamped | None:
    if RESPONSE not in files:
        if trust is not None:
            notes.append("it bears no time stamp")
        return None
    try:
        return verify(files, trust)
    except MalformedRecord as error:
        wrong.append(str(error))
    except UsageError:
        raise
    except ColibriError as error:
        notes.append(f"{RESPONSE} was not checked: {error}")
    return None


def _listed(files: Mapping[str, bytes], manifest: Manifest) -> Iterator[str]:
    listed = {one.name: one for one in manifest.files}
    for name in sorted(listed.keys() - files.keys()):
        yield f"{name}: is missing"
    for name in sorted(files.keys() - listed.keys() - {MANIFEST, SIGNATURE, KEY, REQUEST, RESPONSE}):
        yield f"{name}: is not in the manifest"
    for name in sorted(listed.keys() & files.keys()):
        if sha256(files[name]) != listed[name].sha256:
            yield f"{name}: was changed (its SHA-256 is another)"


def _signature(files: Mapping[str, bytes]) -> Iterator[str]:
    key, signature = (files.get(name, b"").decode("ascii", "replace").strip() for name in (KEY, SIGNATURE))
    if not canonical.verify_bytes(files[MANIFEST], key, signature):
        yield f"{SIGNATURE}: does not fit {MANIFEST} and {KEY}"


def _keys(files: Mapping[str, bytes], wrong: list[str]) -> dict[str, str]:
    try:
        return msgspec.json.decode(files.get("keys.json", b"{}"), type=dict[str, str])
    except (msgspec.MsgspecError, ValueError) as error:
        wrong.append(f"keys.json: {error}")
        return {}


def _finding(
    number: int, line: bytes, keys: Mapping[str, str], files: Mapping[str, bytes], named: set[str]
) -> Iterator[str]:
    where = f"findings.jsonl, line {number}"
    try:
        content = msgspec.json.decode(line)
        finding = msgspec.convert(content, Finding)
    except (msgspec.MsgspecError, ValueError) as error:
        yield f"{where}: {error}"
        return
    if finding.signature is not None and not canonical.verify(content, keys.get(finding.probe.id, "")):
        yield f"{where}: its signature does not fit, or is not of {finding.probe.id}'s key"
    name = f"evidence/{finding.id}.pcapng.gz"
    if name not in files:
        return
    named.add(name)
    try:
        capture = open_capture(files[name])
    except ValueError as error:
        yield f"{name}: {error}"
        return
    if sha256(capture) != finding.evidence.pcapng_sha256:
        yield f"{name}: is not the capture that its finding names"


def key_id(key: str) -> str:
    """A short name of a public key, to compare by eye: 16 hexadecimal digits of its SHA-256."""
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return "no key"
    return sha256(raw)[:16] if len(raw) == 32 else "no key"
