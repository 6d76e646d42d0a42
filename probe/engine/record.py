"""Evidence: one pcapng with exactly the packets of the run's own flows, the exchange log in its section comments."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable

import msgspec

from probe.engine.observe import Record
from probe.model.errors import MalformedPacket, MalformedRecord
from probe.model.exchange import Step
from probe.model.finding import Evidence
from probe.model.outcome import Entry, ExchangeLog
from probe.wire import ip, pcapng

_MARK = "colibri.exchanges/1 "
_HEAD = 256  # bytes of a file in which the human comment begins
_SHORT = 8  # bytes of a payload that its digest would not make shorter
_CHUNK = 60_000  # a pcapng option holds at most 65,535 bytes


def seal(records: Iterable[Record], log: ExchangeLog) -> tuple[Evidence, bytes]:
    """The evidence file and its description. The log is deflated and base64-coded, in as many comments as it takes; of
    payloads it holds digests: the packets show them, and a replay makes them anew."""
    packets = sorted(records, key=lambda r: r.ns)
    lean = msgspec.structs.replace(log, batches=[[_lean(entry) for entry in batch] for batch in log.batches])
    text = base64.b64encode(zlib.compress(msgspec.json.encode(lean), 9)).decode()
    chunks = [_MARK + text[i : i + _CHUNK] for i in range(0, len(text), _CHUNK)]
    human = (
        f"Colibri {log.measurement} {log.version}: {log.verdict} {log.technique}".rstrip()
        + " - own flows only; 0.0.0.0 and :: stand for the probe, 0.0.0.1 ... for routers inside the home"
    )
    data = pcapng.write([(r.ns, r.outgoing, r.data) for r in packets], [human, *chunks], log.software)
    return (
        Evidence(
            packets=len(packets),
            pcapng_sha256=hashlib.sha256(data).hexdigest(),
            exchanges=sum(len(batch) for batch in log.batches),
        ),
        data,
    )


def _lean(entry: Entry) -> Entry:
    payload = getattr(entry.step, "payload", b"")
    if len(payload) <= _SHORT or entry.digest:
        return entry
    return msgspec.structs.replace(entry, step=_without_payload(entry.step), digest=_digest(payload))


def _without_payload(step: Step) -> Step:
    return msgspec.structs.replace(step, payload=b"")


def _digest(payload: bytes) -> str:
    """Enough to notice rules that ask for something else, which shows in many steps. The file is hashed whole."""
    return hashlib.blake2b(payload, digest_size=2).hexdigest()


def is_step_of(entry: Entry, step: Step) -> bool:
    """Whether an entry of a log, with its payload or without, is of this very step."""
    if not entry.digest:
        return step == entry.step
    payload = getattr(step, "payload", b"")
    return bool(payload) and _digest(payload) == entry.digest and _without_payload(step) == entry.step


def is_evidence(data: bytes) -> bool:
    """Whether a file is, or begins as, one of :func:`seal`'s: its first block says so."""
    return b"Colibri " in data[:_HEAD] or _MARK.encode() in data[:_HEAD]


def unseal(data: bytes, where: str = "evidence") -> tuple[list[Record], ExchangeLog]:
    """Read an evidence file. Raises MalformedRecord if it is not one of ours (packets without a log)."""
    try:
        capture = pcapng.read(data)
    except MalformedPacket as error:
        raise MalformedRecord(where, str(error)) from None
    text = "".join(c.removeprefix(_MARK) for c in capture.comments if c.startswith(_MARK))
    if not text:
        raise MalformedRecord(where, "a capture without Colibri's exchange log: its packets can't be judged alone")
    try:
        # A bomb of a log is refused: no honest one comes near this size.
        inflated = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), 64 << 20)
        log = msgspec.json.decode(inflated, type=ExchangeLog)
    except (ValueError, zlib.error, msgspec.MsgspecError, RecursionError) as error:
        raise MalformedRecord(where, f"the exchange log can't be read: {error}") from None
    records: list[Record] = []
    for number, (ns, outgoing, packet) in enumerate(capture.packets, 1):
        try:
            records.append(Record(ns, bool(outgoing), packet, ip.decode(packet)))
        except MalformedPacket as error:
            raise MalformedRecord(where, f"packet {number}: {error}") from None
    return records, log
