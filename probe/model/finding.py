"""Contract 1: a finding, the judged measurement that is published.

Field names and enums are stable: add, never change.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

SCHEMA: Literal["colibri.finding/1"] = "colibri.finding/1"

Verdict = Literal["clean", "interfered", "down", "inconclusive"]
Placement = Literal["in_path", "on_path", "resolver", "unknown"]
Clock = Literal["synchronised", "unsynchronised"]
Access = Literal["fixed", "mobile", "unknown"]
Technique = Literal[
    "dns_injection", "dns_redirect", "dns_lie", "tcp_reset", "trigger_drop", "block_page", "tls_interception",
    "ip_blackhole", "icmp_reject", "port_block", "udp_block", "voip_signalling", "voip_stun", "voip_media", "sip_alg",
    "throttling", "header_tampering",
]  # fmt: skip

Text = Annotated[str, msgspec.Meta(max_length=1024)]
Name = Annotated[str, msgspec.Meta(max_length=256)]
Token = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Country = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$|^$", description="ISO 3166-1 alpha-2, empty if unknown")]
Instant = Annotated[
    str,
    msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="RFC 3339, UTC, milliseconds"),
]
Uuid = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$|^$", description="SHA-256, lower-case hexadecimal")]
Ttl = Annotated[int, msgspec.Meta(ge=0, le=255)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Asn = Annotated[int, msgspec.Meta(ge=0, le=4294967295, description="0 if unknown")]


class Probe(msgspec.Struct, frozen=True):
    """Which device measured. ``id`` is the MQTT user name and the topic level."""

    id: Token
    software: Name


class Line(msgspec.Struct, frozen=True):
    """The access line. Never the public address, never a name of the home."""

    operator: Name = ""
    asn: Asn = 0
    country: Country = ""
    access: Access = "unknown"


class Target(msgspec.Struct, frozen=True):
    """What was measured. ``input`` is what was asked for, as asked; the rest is what it resolved to."""

    input: Text
    name: Name = ""
    address: Name = ""
    port: Port = 0
    group: Name = ""


class Hop(msgspec.Struct, frozen=True):
    """A router on the path. ``address`` is empty where nothing answered or the router is inside the home."""

    address: Name = ""
    asn: Asn = 0


class Location(msgspec.Struct, frozen=True):
    """The interferer acts on the link between the hops ``clean_ttl`` and ``first_ttl`` (TTL of the probe's packets)."""

    clean_ttl: Ttl
    first_ttl: Ttl
    clean_hop: Hop | None = None
    first_hop: Hop | None = None
    attribution: Text = ""


class Interference(msgspec.Struct, frozen=True):
    """What is done to the line, and where."""

    technique: Technique
    placement: Placement = "unknown"
    location: Location | None = None


class Tally(msgspec.Struct, frozen=True):
    """How many were made and how many agreed with the verdict."""

    made: Count
    agreed: Count


class Evidence(msgspec.Struct, frozen=True):
    """``packets`` in the pcapng, its SHA-256, and how many ``exchanges`` its log holds."""

    packets: Count = 0
    pcapng_sha256: Digest = ""
    exchanges: Count = 0


class Signature(msgspec.Struct, frozen=True):
    """Ed25519 over the canonical JSON (RFC 8785) of the finding without this field; both fields in base64."""

    key: Name
    value: Name


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A judged measurement (contract 1)."""

    schema: Literal["colibri.finding/1"] = SCHEMA
    id: Uuid
    measurement: Token
    version: Name
    probe: Probe
    line: Line
    target: Target
    started_at: Instant
    duration_s: Annotated[float, msgspec.Meta(ge=0)]
    clock: Clock
    verdict: Verdict
    interference: Interference | None
    rule: Name
    trials: Tally
    controls: Tally
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]
    reasons: list[Text]
    evidence: Evidence
    details: dict[str, Any]
    signature: Signature | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement returns: the part of a finding that it decides."""

    verdict: Verdict
    rule: str
    target: Target
    interference: Interference | None = None
    trials: Tally = Tally(0, 0)
    controls: Tally = Tally(0, 0)
    confidence: float = 0.0
    reasons: list[str] = []
    details: dict[str, Any] = {}
