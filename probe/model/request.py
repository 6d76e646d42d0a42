"""What comes to a probe from afar: requests of whoever holds a key, target lists, and what the probe says of them.

Signed by offline keys; who carries them (broker, collector) can withhold them and nothing else (docs/lists.md).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.model.feed import ROOT
from probe.model.finding import Instant, Name, Signature, Text, Token, Uuid

ALL = "all"
"""Stands for every probe, in a request and in topics; never a probe's name."""
LISTS = f"{ROOT}/{ALL}/lists"
"""Retained: the newest :class:`Bundle`."""
MOST = 16 * 1024
"""Most bytes of a request."""

Command = Literal["measure", "stop", "resume"]
Option = str | int | float | bool | list[str]


def topic(probe: str, command: Command) -> str:
    """Where a request goes; ``probe`` may be :data:`ALL`. A stop for all is retained, for who comes later."""
    return f"{ROOT}/{probe}/request/{command}"


def answers(probe: str, command: Command) -> str:
    """QoS 1: :class:`Response`."""
    return f"{ROOT}/{probe}/response/{command}"


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Measure something, stop sending anything, or go on. Fixed kinds of measurement with typed options; no bytes.

    ``sequence``: of one key, always more than before (milliseconds since the epoch will do). ``signature``: Ed25519
    over the canonical JSON (RFC 8785) of all the rest, as of a finding.
    """

    schema: Literal["colibri.request/1"] = "colibri.request/1"
    id: Token
    probes: Annotated[list[Token], msgspec.Meta(min_length=1, max_length=200)]
    sequence: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    issued_at: Instant
    not_after: Instant
    command: Command
    measurement: Name = ""
    options: Annotated[dict[str, Option], msgspec.Meta(max_length=40)] = {}
    signature: Signature | None = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request. ``finding``: id of the finding that it led to."""

    schema: Literal["colibri.response/1"] = "colibri.response/1"
    request: Token
    status: Literal["refused", "done", "failed"]
    reason: Text = ""
    finding: Uuid | None = None


class Bundle(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A target list with the TUF metadata that vouches for it: file name → its text, all in one message."""

    schema: Literal["colibri.lists/1"]
    files: Annotated[dict[str, str], msgspec.Meta(max_length=300)]
