"""What Home Assistant is told about this probe: one device with a few entities. Pure.

By the MQTT integration's device discovery: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

import msgspec

from probe.model.finding import Finding, Name, Token

MOST = 1000
"""Most targets that are remembered; the one measured longest ago goes first."""
NAMED = 20
"""Most interfered targets that are named; all are counted."""


class Topics(msgspec.Struct, frozen=True):
    """Where it is said, all of it retained."""

    discovery: str
    availability: str
    state: str

    @classmethod
    def of(cls, probe: Token, prefix: str) -> Topics:
        """For a probe, under Home Assistant's ``discovery_prefix``."""
        own = f"colibri/home/{probe}"
        return cls(f"{prefix}/device/{_object_id(probe)}/config", f"{own}/availability", f"{own}/state")


def discovery(probe: Token, software: Name, topics: Topics) -> bytes:
    """The device and its entities: whether anything is interfered with, how many targets, and when it was measured."""
    entities: dict[str, dict[str, Any]] = {
        "interference": {
            "platform": "binary_sensor",
            "name": "Interference",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.interfered else 'OFF' }}",
            "json_attributes_topic": topics.state,
            "json_attributes_template": "{{ {'targets': value_json.targets} | tojson }}",
        },
        "interfered": {
            "platform": "sensor",
            "name": "Interfered targets",
            "icon": "mdi:web-off",
            "state_class": "measurement",
            "value_template": "{{ value_json.interfered }}",
        },
        "measured": {
            "platform": "sensor",
            "name": "Measured targets",
            "icon": "mdi:web-check",
            "state_class": "measurement",
            "value_template": "{{ value_json.measured }}",
        },
        "last": {
            "platform": "sensor",
            "name": "Last measurement",
            "device_class": "timestamp",
            "entity_category": "diagnostic",
            "value_template": "{{ value_json.last }}",
        },
    }
    payload = {
        "device": {"identifiers": [_object_id(probe)], "name": f"Colibri {probe}", "sw_version": software},
        "origin": {"name": "colibri", "sw_version": software.rpartition(" ")[2]},
        "components": {
            name: {"unique_id": f"{_object_id(probe)}_{name}", **entity} for name, entity in entities.items()
        },
        "availability_topic": topics.availability,
        "state_topic": topics.state,
        "qos": 1,
    }
    return msgspec.json.encode(payload)


class Standing:
    """The last verdict on each target, by measurement."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], Finding] = OrderedDict()

    def note(self, finding: Finding) -> None:
        """Take a finding into account. An inconclusive one says nothing, so it leaves what was known."""
        key = finding.measurement, finding.target.input
        if finding.verdict == "inconclusive" and key in self._last:
            return
        self._last[key] = finding
        self._last.move_to_end(key)
        if len(self._last) > MOST:
            self._last.popitem(last=False)

    def state(self) -> bytes:
        """The state of all entities as JSON; ``last`` is null before the first finding."""
        found = [finding for finding in self._last.values() if finding.verdict == "interfered"]
        newest = next(reversed(self._last.values()), None)
        state = {
            "interfered": len(found),
            "measured": len(self._last),
            "targets": [_told(finding) for finding in found[-NAMED:]],
            "last": newest.started_at if newest else None,
        }
        return msgspec.json.encode(state)


def _told(finding: Finding) -> str:
    technique = finding.interference.technique if finding.interference else finding.measurement
    return f"{finding.target.name or finding.target.input}: {technique}"


def _object_id(probe: Token) -> str:
    """The discovery topic takes letters, digits, ``_`` and ``-`` alone; a probe's name may hold dots."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", f"colibri_{probe}")
