"""Recomputes a verdict from evidence alone: the same rules, driven by the recording instead of the network."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import msgspec

from probe.engine.observe import Record, local_port, observe, transport
from probe.engine.record import is_step_of, unseal
from probe.measurements import Context, Steps, load, parse_options
from probe.model.baseline import Baseline
from probe.model.errors import MalformedPacket, MalformedRecord, ReplayMismatch, UsageError
from probe.model.exchange import Exchange, Step
from probe.model.finding import Judgement
from probe.model.outcome import Entry, ExchangeLog


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """Today's judgement of old evidence beside the recorded one. ``agrees``: same verdict and technique."""

    judgement: Judgement
    version: str
    log: ExchangeLog
    agrees: bool


def replay(data: bytes, where: str = "evidence") -> Replayed:
    """Judge an evidence file again.

    Raises MalformedRecord if it can't be read, ReplayMismatch if today's rules ask for what was not recorded.
    """
    records, log = unseal(data, where)
    index: dict[tuple[int, int], list[Record]] = defaultdict(list)
    for record in records:
        key = local_port(record.packet, record.outgoing)
        if key is not None:
            index[key].append(record)
    try:
        measurement = load(log.measurement)
        options = parse_options(measurement, log.options)
        context = Context(Random(log.seed), baseline=Baseline(log.baseline))
        judgement = _drive(measurement.measure(options, context), log.batches, index, where)
    except MalformedPacket as error:
        raise MalformedRecord(where, str(error)) from None
    except UsageError as error:
        raise ReplayMismatch(f"{where}: the rules of today can't run what was recorded: {error}") from None
    technique = judgement.interference.technique if judgement.interference else ""
    return Replayed(
        judgement=judgement,
        version=measurement.version,
        log=log,
        agrees=(judgement.verdict, technique) == (log.verdict, log.technique),
    )


def _drive(
    steps: Steps, batches: list[list[Entry]], index: dict[tuple[int, int], list[Record]], where: str
) -> Judgement:
    try:
        batch = next(steps)
        for number, entries in enumerate(batches):
            batch = steps.send(_answer(batch, entries, index, f"{where}: batch {number + 1}"))
    except StopIteration as stop:
        judgement: Judgement = stop.value
        return judgement
    raise ReplayMismatch(f"{where}: the rules of today ask for more than the {len(batches)} recorded batches")


def _answer(
    batch: list[Step], entries: list[Entry], index: dict[tuple[int, int], list[Record]], where: str
) -> list[Exchange]:
    if len(batch) != len(entries):
        raise ReplayMismatch(f"{where}: {len(entries)} steps are recorded, the rules of today ask for {len(batch)}")
    exchanges: list[Exchange] = []
    for step, entry in zip(batch, entries, strict=True):
        if not is_step_of(entry, step):
            raise ReplayMismatch(f"{where}: the rules of today ask for another step than the recorded one")
        exchanges.append(observe(msgspec.structs.replace(entry, step=step), index[transport(step), entry.port]))
    return exchanges
