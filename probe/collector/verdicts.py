"""What becomes of a message: accepted as one of a few things, or rejected with a reason. Plain values."""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.model.feed import Info
from probe.model.finding import Finding
from probe.model.heartbeat import Heartbeat

Reason = Literal[
    "unknown_topic",  # not a topic of contract 3, or one that no probe may write
    "too_large",  # more bytes than the message may have
    "bad_json",  # not JSON, or nested deeper than any finding
    "bad_schema",  # JSON, but a field is missing, of the wrong type or out of range
    "wrong_probe",  # the topic names another probe than the message
    "wrong_measurement",  # the topic names another measurement than the finding
    "unknown_probe",  # trusted keys are configured and this probe has none
    "unsigned",  # a signature was due
    "bad_signature",  # the signature does not fit the finding
    "other_key",  # signed by another key than the one known for this probe
    "bad_clock",  # a date that a synchronised clock can't show
    "too_old",  # measured so long ago that nobody knows whether it was stored before
    "same_id",  # the id is stored with other content; the first one is kept
    "bad_evidence",  # not a compressed pcapng, or larger than allowed once opened
    "other_evidence",  # its hash is not the one in the finding
    "unclaimed_evidence",  # its finding never came
]


class Rejected(msgspec.Struct, frozen=True):
    """A message that is kept aside. ``finding_id`` is set where the finding says to be one of ``probe``'s."""

    reason: Reason
    detail: str
    probe: str = ""
    finding_id: str = ""


class NewFinding(msgspec.Struct, frozen=True):
    """A finding to store. ``body``: the JSON as it came; ``digest``: of its content (`ingest.digest_of`).

    ``at``: when it was measured, in ms; None where no trustworthy clock vouches for it. ``key``: empty if unsigned.
    """

    finding: Finding
    body: bytes
    digest: bytes
    at: int | None
    key: str = ""


class NewEvidence(msgspec.Struct, frozen=True):
    """The capture of a finding. ``packed``: compressed, as it came; ``sha256``: of the pcapng, in hexadecimal."""

    probe: str
    finding_id: str
    packed: bytes
    sha256: str


class Presence(msgspec.Struct, frozen=True):
    """A probe came or went."""

    probe: str
    online: bool


class Introduction(msgspec.Struct, frozen=True):
    """A probe told about itself. ``body``: the JSON as it came."""

    info: Info
    body: bytes


class NewHeartbeat(msgspec.Struct, frozen=True):
    """A sign of life to store. ``body``: the JSON as it came; ``at``: when it was made, in ms, None if nobody knows."""

    heartbeat: Heartbeat
    body: bytes
    at: int | None


class Connected(msgspec.Struct, frozen=True):
    """The broker says that a probe connected. ``home``: keyed hash of the public prefix it came from."""

    probe: str
    home: str


class Unheeded(msgspec.Struct, frozen=True):
    """Something that is none of the collector's business, and of which nothing is kept."""


Accepted = NewFinding | NewEvidence | NewHeartbeat | Presence | Introduction | Connected | Unheeded


class Judged(msgspec.Struct, frozen=True):
    """A message with what was decided about it. ``received_at``: ms, by the collector's clock."""

    topic: str
    payload: bytes
    received_at: int
    judgement: Accepted | Rejected


class Outcome(msgspec.Struct, frozen=True):
    """What the store did. ``answer``: the probe may forget ``finding_id`` (or a heartbeat's id) now; ``refused``: why
    it was kept aside."""

    kind: Literal["stored", "duplicate", "rejected", "noted"]
    probe: str = ""
    finding_id: str = ""
    answer: bool = False
    refused: str = ""
