"""The collector's counters in the Prometheus text exposition format, version 0.0.4. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/ and, for the names, …/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

MEDIA = "text/plain; version=0.0.4; charset=utf-8"

COUNTED = {
    "received": ("messages_received", "Messages that came from the broker."),
    "stored": ("findings_stored", "Findings stored."),
    "duplicate": ("findings_duplicate", "Findings that were stored already."),
    "undated": ("findings_undated", "Findings stored that no trustworthy clock dated."),
    "heartbeats": ("heartbeats_stored", "Signed signs of life stored."),
    "evidence": ("evidence_stored", "Captures stored."),
    "rejects_dropped": ("rejects_dropped", "Messages kept aside that later had to make room."),
}
"""The store's counter → name and help. Those that are not here have nothing to say to an operator."""


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """What the collector is doing at the moment. ``last_seen``: when a probe was last heard, in ms; 0: never."""

    version: str
    healthy: bool
    viewers: int
    viewers_dropped: int
    online: int
    offline: int
    last_seen: int
    incidents_open: int
    public_waiting: int


def exposition(counters: Mapping[str, int], gauges: Gauges) -> str:
    """The page. ``counters``: the store's."""
    rejected = {
        name.removeprefix("rejected."): value for name, value in counters.items() if name.startswith("rejected.")
    }
    parts = [
        _metric("build_info", "gauge", "The software that runs.", [({"version": gauges.version}, 1)]),
        _metric("healthy", "gauge", "1: connected and storing; 0: /healthz says what ails.", [({}, gauges.healthy)]),
        *(
            _metric(f"{name}_total", "counter", words, [({}, counters.get(key, 0))])
            for key, (name, words) in COUNTED.items()
        ),
        _metric(
            "messages_rejected_total", "counter", "Messages kept aside, by reason.",
            [({"reason": reason}, value) for reason, value in sorted(rejected.items())],
        ),
        _metric(
            "probes", "gauge", "Probes ever heard, by whether they are there.",
            [({"state": "online"}, gauges.online), ({"state": "offline"}, gauges.offline)],
        ),
        _metric(
            "last_message_timestamp_seconds", "gauge", "When a probe was last heard; 0: never.",
            [({}, gauges.last_seen / 1000)],
        ),
        _metric("incidents_open", "gauge", "Incidents that last.", [({}, gauges.incidents_open)]),
        _metric("monitor_viewers", "gauge", "Viewers of the live monitor.", [({}, gauges.viewers)]),
        _metric(
            "monitor_viewers_dropped_total", "counter", "Viewers that were too slow to follow, since the start.",
            [({}, gauges.viewers_dropped)],
        ),
        _metric("public_waiting", "gauge", "States that wait to be published.", [({}, gauges.public_waiting)]),
    ]  # fmt: skip
    return "".join(parts)


def _metric(name: str, kind: str, words: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP colibri_{name} {words}", f"# TYPE colibri_{name} {kind}"]
    for labels, value in samples:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"colibri_{name}{f'{{{told}}}' if told else ''} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """A label's value: backslash, quote and line feed escaped, as the format wants it."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
