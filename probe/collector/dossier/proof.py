"""What proves the silence in an incident: the signed heartbeats of its probes, one an hour, as they came."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from probe.collector.incidents.model import HOUR, Incident
from probe.collector.store import Reader
from probe.model import canonical
from probe.model.heartbeat import Heartbeat

FILE = "heartbeats.jsonl"


def heartbeats(reader: Reader, incident: Incident, probes: Collection[str]) -> bytes:
    """Those of the incident's silent intervals, one a line; empty if there was no silence, or nobody lived in it.

    Raises StoreError.
    """
    bodies = [
        body.replace(b"\n", b" ") + b"\n" for since, until in incident.silent for probe in sorted(probes)
        for body in reader.heartbeats(probe, -(-since // HOUR) * HOUR, until - 1)
    ]  # fmt: skip
    return b"".join(bodies)


def faults(data: bytes, keys: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with them. ``keys``: probe → its public key (base64), as its findings were signed."""
    for number, line in enumerate(data.splitlines(), 1):
        where = f"{FILE}, line {number}"
        try:
            content = msgspec.json.decode(line)
            one = msgspec.convert(content, Heartbeat)
        except (msgspec.MsgspecError, ValueError) as error:
            yield f"{where}: {error}"
            continue
        if one.probe not in keys or not canonical.verify(content, keys[one.probe]):
            yield f"{where}: its signature does not fit, or is not of {one.probe}'s key"
