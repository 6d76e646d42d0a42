"""Contract 3: the feed's topics and small messages."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.model.finding import (
    Access,
    Asn,
    Count,
    Country,
    Instant,
    Interference,
    Line,
    Name,
    Placement,
    Port,
    Target,
    Technique,
    Text,
    Token,
    Uuid,
    Verdict,
)

ROOT = "colibri/v1"
AVAILABLE, GONE = b"online", b"offline"

Event = Literal["opened", "updated", "closed"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Pair = Annotated[list[Count], msgspec.Meta(min_length=2, max_length=2)]
ShortHash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]


def availability(probe: str) -> str:
    """Retained ``online``/``offline``; also the last will."""
    return f"{ROOT}/{probe}/availability"


def info(probe: str) -> str:
    """Retained :class:`Info`."""
    return f"{ROOT}/{probe}/info"


def heartbeat(probe: str) -> str:
    """QoS 1: :class:`probe.model.heartbeat.Heartbeat`."""
    return f"{ROOT}/{probe}/heartbeat"


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


def public_state(country: str, operator: str, target: str) -> str:
    """Retained :class:`PublicState` of a target (its text) on an operator (its key: ``AS64501``, or its name in small
    letters). ``ZZ`` stands for an unknown country, as in Unicode's regions."""
    return f"{ROOT}/public/state/{country or 'ZZ'}/{short_hash(operator)}/{short_hash(target)}"


def public_incident(event: Event) -> str:
    """QoS 1: :class:`PublicEvent`."""
    return f"{ROOT}/public/incident/{event}"


def public_case(event: Event) -> str:
    """QoS 1: ``PublicCaseEvent`` of `probe.collector.rest_types`."""
    return f"{ROOT}/public/case/{event}"


def short_hash(text: str) -> str:
    """16 hexadecimal digits of SHA-256: enough to tell a home's targets apart, and safe in a topic."""
    import hashlib  # OpenSSL's: nothing for a daemon that has no broker

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
    paused: bool = False
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
    """The collector's word that these ids (of findings and heartbeats) are committed: no need to send them again.

    ``refused``: those among ``ids`` that were not accepted but kept aside, whole, with the reason. To send
    such a one again would change nothing, and it would take the place of others in the window.
    """

    schema: str = "colibri.stored/1"
    ids: list[Uuid]
    refused: dict[Uuid, str] = {}


class PublicTarget(msgspec.Struct, frozen=True):
    """What was measured, without the address that a line resolved it to."""

    input: Text
    name: Name = ""
    port: Port = 0
    group: Name = ""


class PublicVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the probes on an operator's lines of one kind say together in one measurement; to the minute.

    ``agree`` of ``probes`` that measured lately say so.
    """

    measurement: Token
    access: Access
    verdict: Verdict
    technique: Technique | None
    placement: Placement
    since: Instant
    last: Instant
    agree: Count
    probes: Count


class PublicState(msgspec.Struct, frozen=True, kw_only=True):
    """What is found of one target on one operator now: the retained message that anyone may read."""

    schema: Literal["colibri.public.state/1"] = "colibri.public.state/1"
    country: Country
    operator: Name
    asn: Asn
    target: PublicTarget
    verdicts: list[PublicVerdict]
    at: Instant


class PublicBounds(msgspec.Struct, frozen=True):
    """When something changed: after the one, not after the other. Null: nobody measured before (or since)."""

    after: Instant | None
    until: Instant | None


class PublicExemption(msgspec.Struct, frozen=True):
    """So many homes for which it worked while it was cut for the others. ``until`` null: it still does."""

    homes: Count
    since: Instant
    until: Instant | None


class PublicSilence(msgspec.Struct, frozen=True):
    """An interval in which nobody measured, and its whole hours by what heartbeats of those who measured there prove:
    ``idle``: a probe lived and was in touch; ``cut_off``: one lived, its heartbeats came late; ``dead``: none has come.
    """

    since: Instant
    until: Instant
    idle: Count = 0
    cut_off: Count = 0
    dead: Count = 0


class PublicIncident(msgspec.Struct, frozen=True, kw_only=True):
    """A dated run of interference, in numbers of homes: no probe is named. All times to the minute.

    ``operator``: ``AS64501``, or the name in small letters where no AS number is known. ``began``: (last good, first
    bad]; ``ended``: [last bad, first good), null while it lasts. ``homes`` saw it of ``heard``; ``dissent``: how many
    probes never did although they looked. ``share``: bad findings of all that were good or bad, at the homes that saw
    it; ``hours``: [bad, all] by hour of the day (UTC). ``sure``: lower end of the 95 % interval of the share of homes.
    ``counted``: what told homes apart: their public prefixes, or the probes alone, several of which may then be
    of one home.
    """

    schema: Literal["colibri.public.incident/1"] = "colibri.public.incident/1"
    id: ShortHash
    country: Country
    operator: Name
    access: Access
    measurement: Token
    target: Text
    technique: Technique
    state: Literal["open", "closed"]
    began: PublicBounds
    ended: PublicBounds | None
    homes: Count
    heard: Count
    dissent: Count
    share: Share
    hours: list[Pair]
    intermittent: bool
    exemptions: list[PublicExemption]
    silent: list[PublicSilence]
    sure: Share
    counted: Literal["probe", "prefix", "mixed"] = "probe"


class PublicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An incident was opened, updated or closed."""

    schema: Literal["colibri.public.event/1"] = "colibri.public.event/1"
    event: Event
    incident: PublicIncident
    at: Instant


__all__ = ["Access", "Info", "State", "Stored"]
