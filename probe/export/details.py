"""The ``details`` of findings, read back into types: what the measurements wrote, as far as an export can use it.

A finding may come from a newer or a broken probe, so nothing here is trusted: what does not fit its type is said, not
guessed. Fields that an export has no use for are not listed. Times end in ``_ms``: milliseconds.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from probe.model.errors import MalformedRecord
from probe.model.finding import Finding, Port

Times = Annotated[float, msgspec.Meta(ge=0)]
Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,5}$")]
Hops = Annotated[int, msgspec.Meta(ge=1, le=255)]


class Shown(msgspec.Struct, frozen=True):
    """A router on a path; ``address`` is empty inside the home."""

    ttl: Hops
    address: str = ""


class Reply(msgspec.Struct, frozen=True):
    """One DNS answer (``dns_injection``). ``ttl``: of the IP packet; ``answers``: ``"TYPE TEXT"``, TYPE a number."""

    after_ms: Times
    ttl: int
    rcode: int = 0
    truncated: bool = False
    answers: list[str] = []


class Injection(msgspec.Struct, frozen=True):
    """``dns_injection``: each trial is the list of answers to one query, in the order in which they came."""

    resolver: str
    silent: str
    resolver_trials: list[list[Reply]]
    silent_trials: list[list[Reply]]
    control_ttls: list[int] = []
    control_round_trip_ms: Times | None = None
    arrives_at_ttl: Hops | None = None
    path: list[Shown] = []


class Said(msgspec.Struct, frozen=True):
    """One DNS answer (``dns_resolver``). ``lifetime``: seconds; ``ttl``: of the IP packet."""

    says: str
    after_ms: Times
    rcode: int = 0
    addresses: list[str] = []
    lifetime: int | None = None
    truncated: bool = False


class Tried(msgspec.Struct, frozen=True):
    """A TLS session with a server that a resolver named."""

    right: bool
    wrong: str = ""
    failure: str = ""


class Servers(msgspec.Struct, frozen=True):
    """Servers by address: those of the trusted resolver before and after, and those of the line's resolver alone."""

    before: dict[str, Tried] = {}
    after: dict[str, Tried] = {}
    other: dict[str, list[Tried]] = {}


class Sweep(msgspec.Struct, frozen=True):
    """Queries or requests at every TTL; ``arrives_at_ttl``: the first that gets there."""

    arrives_at_ttl: Hops | None = None
    path: list[Shown] = []


class Resolver(msgspec.Struct, frozen=True):
    """``dns_resolver``. ``answers``: ``"WHAT, WHO"`` → what came to each question, None where nothing did."""

    resolver: str
    control_resolver: str
    silent: str
    answers: dict[str, list[Said | None]]
    servers: Servers = Servers()
    sweeps: dict[str, Sweep] = {}


class Event(msgspec.Struct, frozen=True):
    """A packet that came back, after what was sent."""

    after_ms: Times


class Connection(msgspec.Struct, frozen=True):
    """One TCP connection (``tcp_reset``). ``failure``: of the handshake, as :data:`probe.model.exchange.Failure`."""

    handshake_ms: Times | None = None
    resets: list[Event] = []
    fins: int = 0
    data: list[Event] = []
    failure: str = ""


class Connections(msgspec.Struct, frozen=True):
    """``tcp_reset``: connections that bear the name (``trials``) and harmless ones to the same address (``twins``)."""

    trigger: str
    port: Port
    trials: list[Connection]
    twins: list[Connection]
    twin: str = ""
    arrives_at_ttl: Hops | None = None
    path: list[Shown] = []


class Datagram(msgspec.Struct, frozen=True):
    """A datagram and how long its answer took; None: there was none."""

    answered_ms: Times | None = None
    rejected: bool = False


class End(msgspec.Struct, frozen=True):
    """A far end that datagrams were sent to."""

    address: str
    port: Port
    triggers: list[Datagram] = []
    twins: list[Datagram] = []


class Datagrams(msgspec.Struct, frozen=True):
    """``udp_trigger``."""

    trigger: str
    ends: list[End]
    arrives_at_ttl: Hops | None = None
    path: list[Shown] = []


class Row(msgspec.Struct, frozen=True):
    """One address of ``blackhole``. ``ports``: port → open, closed, refused or silent."""

    address: str
    ports: dict[Digits, str] = {}


class Holes(msgspec.Struct, frozen=True):
    """``blackhole``."""

    addresses: list[Row]
    references: list[dict[str, object]]


class Look(msgspec.Struct, frozen=True):
    """A request or a TLS session as it came through (``tampering``)."""

    touched: bool | None = None
    own: bool = True
    changes: list[str] = []
    failure: str = ""
    issuer: str = ""


class Looks(msgspec.Struct, frozen=True):
    """``tampering``. ``ports``: kind → the known port, the other; ``looks``: ``"KIND, PHASE, PORT port, NAME name"`` →
    looks."""

    far: str
    ports: dict[str, list[Port]]
    looks: dict[str, list[Look]]
    sweeps: dict[str, Sweep] = {}

    def trials(self, kind: str) -> list[Look]:
        """Those of the target's name at the known port."""
        return self.looks.get(f"{kind}, trial, known port, target name", [])


class Cell(msgspec.Struct, frozen=True):
    """How many calls of a kind were made, how many failed."""

    made: int
    failed: int


class Calls(msgspec.Struct, frozen=True):
    """``voip``: part of a call → port and payload → calls."""

    questions: dict[str, dict[str, Cell]]


class Hop(msgspec.Struct, frozen=True):
    """One TTL of a plain path. ``routers``: address → answers."""

    ttl: Hops
    routers: dict[str, int] = {}
    rtt_ms: Times | None = None


class Trace(msgspec.Struct, frozen=True):
    """``ttl_path`` without a trigger."""

    protocol: str
    path: list[Hop]


Details = Injection | Resolver | Connections | Datagrams | Holes | Looks | Calls | Trace
_SHAPES: tuple[tuple[str, type[Details]], ...] = (
    ("resolver_trials", Injection), ("resolved_by", Resolver), ("control_trials", Connections), ("ends", Datagrams),
    ("references", Holes), ("looks", Looks), ("questions", Calls), ("protocol", Trace),
)  # fmt: skip
"""A field that only one of them has → that one. Not the measurement's name: ``ttl_path`` with a trigger writes those of
the trigger's own measurement."""


def read(finding: Finding) -> Details | None:
    """The details in their type; None where no export can use them (``throttling``, a run that ended early).

    Raises MalformedRecord for details that don't fit.
    """
    for field, kind in _SHAPES:
        if field in finding.details:
            try:
                return msgspec.convert(finding.details, kind)
            except (msgspec.ValidationError, RecursionError) as error:
                raise MalformedRecord(f"details of {finding.measurement}", str(error)) from None
    return None
