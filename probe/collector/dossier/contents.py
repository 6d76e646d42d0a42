"""What belongs to an incident: its findings as they came, their captures, the keys of who signed, and how to check."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from probe.collector.casebook import rows_of, told
from probe.collector.dossier.beside import Beside
from probe.collector.dossier.facts import AROUND
from probe.collector.dossier.manifest import RECOMPUTE
from probe.collector.dossier.proof import FILE, heartbeats
from probe.collector.incidents.said import said, span
from probe.collector.search import Place, Search
from probe.collector.store import FindingRow, IncidentRow, Reader
from probe.model.finding import Finding

_PAGE = 1000

README = """\
Incident {id}: {what}
{span}

  {cover:<21}what it says, for people to read
  incident.json        the incident, as the collector computed it
  case.json            the case that it is part of; case.txt says it in sentences
  findings.jsonl       every finding, byte for byte as the probe sent it, one a line
  evidence/ID.pcapng.gz the packets of the finding ID, and the log of what was asked for
  heartbeats.jsonl     where there was silence: signs of life of its probes meanwhile, signed, one an hour
  keys.json            the public key of each probe
  manifest.json        SHA-256 of each file; manifest.json.sig signs it, manifest.key is the public key

To check all of it, and judge every capture anew:   colibri collector check {file}
To judge the captures alone:                        {recompute}
To check a finding by hand: its signature is Ed25519 (RFC 8032) over the canonical JSON (RFC 8785) of all of the finding
but its field "signature"; its field evidence.pcapng_sha256 is the SHA-256 of the opened capture.
"""


class Contents(msgspec.Struct, frozen=True):
    """What belongs to an incident. ``captured``: ids of the findings whose packets are there."""

    findings: list[Finding]
    captured: frozenset[str]
    files: list[tuple[str, bytes]]


def contents(
    reader: Reader, row: IncidentRow, now: int, consents: Collection[str] = (), *, file: str, cover: str
) -> Contents:
    """The files of a dossier but its manifest and its cover, by name. ``now`` in ms; ``consents``: probes whose owners
    agreed to be the only one of their operator; ``file``, ``cover``: how the dossier and its cover are called.

    Raises StoreError.
    """
    incident, beside = row.incident, Beside(reader, row, consents, now)
    rows = rows_of(beside, row.id)
    about = told(beside, rows, now).case if rows else None
    lines, keys, captures = list[bytes](), dict[str, str](), list[tuple[str, bytes]]()
    findings, captured = list[Finding](), set[str]()
    for found in reversed(list(_findings(reader, row, now))):
        stored = reader.finding(found.id)
        if stored is None:
            continue
        lines.append(stored.body.replace(b"\n", b" ") + b"\n")
        finding = msgspec.json.decode(stored.body, type=Finding)
        findings.append(finding)
        if finding.signature is not None:
            keys[found.probe] = finding.signature.key
        if found.has_evidence and (packed := reader.evidence(found.id)) is not None:
            captures.append((f"evidence/{found.id}.pcapng.gz", packed))
            captured.add(found.id)
    beats = heartbeats(reader, incident, keys)  # of whose key is not known, none proves anything
    series = incident.series
    readme = README.format(
        id=row.id, span=span(incident.began, incident.ended), file=file, recompute=RECOMPUTE, cover=cover,
        what=f"{series.technique} of {series.target} by {row.operator or series.operator} ({series.country})",
    )  # fmt: skip
    text = "".join(f"{line}\n" for line in said(about)) if about is not None else ""
    return Contents(findings, frozenset(captured), [
        ("README.txt", readme.encode()), ("incident.json", _json(row)), ("case.json", _json(about)),
        ("case.txt", text.encode()), ("findings.jsonl", b"".join(lines)),
        *([(FILE, beats)] if beats else []), ("keys.json", _json(dict(sorted(keys.items())))), *captures,
    ])  # fmt: skip


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _findings(reader: Reader, row: IncidentRow, now: int) -> Iterator[FindingRow]:
    """Findings of the incident's series while it lasted and a little around, newest first."""
    incident, series = row.incident, row.incident.series
    end = incident.ended.until or incident.ended.after if incident.ended is not None else now
    search = Search(
        operators=frozenset({(series.country, series.operator)}), target=series.target, measurement=series.measurement,
        since=incident.began.until - AROUND, until=end + AROUND, limit=_PAGE,
    )  # fmt: skip
    while page := reader.search(search):
        yield from (found for found in page if found.line.access == series.access)
        last = page[-1]
        time = last.at if last.at is not None else last.received_at
        search = msgspec.structs.replace(search, after=Place(time, last.id))
