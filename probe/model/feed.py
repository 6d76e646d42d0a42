"""Contract 3: the feed's topics and small messages."""

from __future__ import annotations

import hashlib

import msgspec

from probe.model.finding import Access, Interference, Line, Name, Target, Token, Uuid, Verdict

ROOT = "colibri/v1"
AVAILABLE, GONE = b"online", b"offline"


def availability(probe: str) -> str:
    """Retained ``online``/``offline``; also the last will."""
    return f"{ROOT}/{probe}/availability"


def info(probe: str) -> str:
    """Retained :class:`Info`."""
    return f"{ROOT}/{probe}/info"


def finding(probe: str, measurement: str) -> str:
    """QoS 1, the finding."""
    return f"{ROOT}/{probe}/finding/{measurement}"


def state(probe: str, measurement: str, target: str) -> str:
    """Retained :class:`State`. A target's own text may hold ``/``, ``+`` or ``#``: its short hash stands for it."""
    return f"{ROOT}/{probe}/state/{measurement}/{short_hash(target)}"


def evidence(probe: str, finding_id: str) -> str:
    """QoS 1: the pcapng of a finding that is not clean, compressed, at most 64 KiB."""
    return f"{ROOT}/{probe}/evidence/{finding_id}"


def stored(probe: str) -> str:
    """QoS 1, by the collector: ids that are committed to its store (:class:`Stored`)."""
    return f"{ROOT}/{probe}/stored"


def short_hash(text: str) -> str:
    """16 hexadecimal digits of SHA-256: enough to tell a home's targets apart, and safe in a topic."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe says of itself."""

    schema: str = "colibri.info/1"
    probe: Token
    software: Name
    line: Line
    measurements: dict[str, str]  # name → version of its rules
    finding_schema: str
    spool_depth: int
    dropped: int = 0
    at: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The last verdict on one target: what a dashboard wants."""

    schema: str = "colibri.state/1"
    id: Uuid
    measurement: Token
    target: Target
    line: Line
    verdict: Verdict
    interference: Interference | None
    confidence: float
    at: str


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The collector's word that these ids are committed: no need to send them again.

    ``refused``: those among ``ids`` that were not accepted as findings but kept aside, whole, with the reason. To send
    such a one again would change nothing, and it would take the place of others in the window.
    """

    schema: str = "colibri.stored/1"
    ids: list[Uuid]
    refused: dict[Uuid, str] = {}


__all__ = ["Access", "Info", "State", "Stored"]
