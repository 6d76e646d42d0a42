"""What a run of a measurement leaves behind, and the exchange log inside its evidence."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from probe.model.baseline import Usual
from probe.model.exchange import Failure, Sample, Session, Step
from probe.model.finding import Clock, Evidence, Judgement

LOG_SCHEMA: Literal["colibri.exchanges/1"] = "colibri.exchanges/1"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run. ``started``: seconds since the epoch; ``duration``: seconds; ``pcapng``: the evidence itself."""

    measurement: str
    version: str
    judgement: Judgement
    started: float
    duration: float
    clock: Clock
    evidence: Evidence
    pcapng: bytes


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step as it was performed: its local port (or echo identifier) and when, in nanoseconds since the epoch."""

    step: Step
    port: int = 0
    began: int = 0
    ended: int = 0
    failure: Failure = ""
    note: str = ""
    session: Session | None = None
    samples: tuple[Sample, ...] = ()
    account: bytes = b""
    digest: str = ""  # of the step's payload, where a log leaves it out: the packets show it, the rules make it anew


class ExchangeLog(msgspec.Struct, frozen=True, kw_only=True):
    """With the packets, all that a replay needs: what was asked for, by which rules, with which chance."""

    schema: Literal["colibri.exchanges/1"] = LOG_SCHEMA
    software: str
    measurement: str
    version: str
    options: dict[str, Any]
    seed: int
    batches: list[list[Entry]]
    verdict: str
    technique: str
    rule: str
    baseline: dict[str, Usual] = {}  # what was known before of the addresses that were sent to
