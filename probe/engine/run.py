"""Runs one measurement on the line: drives its generator, performs its steps, seals the evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING

import msgspec

from probe import __version__
from probe.engine.baseline import FILE, BaselineFile
from probe.engine.bench import Bench
from probe.engine.budget import Budget
from probe.engine.clock import Timeline, synchronised
from probe.engine.counter import COUNT, DayCount
from probe.engine.guard import Guard, networks
from probe.engine.intake import Intake
from probe.engine.interfaces import own_addresses
from probe.engine.networks import name_networks, networks_of
from probe.engine.pace import Pace
from probe.engine.perform import Performer
from probe.engine.ports import Ports
from probe.engine.raw import RawSender
from probe.measurements import Context, Measurement, load, parse_options
from probe.model.config import Config
from probe.model.errors import ConfigError
from probe.model.exchange import Exchange, PauseStep
from probe.model.finding import Judgement
from probe.model.outcome import Entry, ExchangeLog, Outcome
from probe.wire.scrub import Scrubber, home_networks

if TYPE_CHECKING:
    from probe.engine.bulk.rows import Told
    from probe.engine.bulk.wanted import Wanted

_OPERATOR = "operator_networks"
"""The option by which a measurement asks for the networks of the line's operator."""
SOFTWARE = f"colibri {__version__}"


class EngineRunner:
    """The line's engine. One budget for all runs of this process; the day's bytes are one count for all processes that
    measure on this device: the daemon's, and those at the keyboard."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._allow = networks(config.safety.allow_networks)
        count = DayCount(Path(config.probe.state_dir) / COUNT)
        self._pace = Pace(Budget(config.safety, count.load, count.save))
        self._memory = BaselineFile(Path(config.probe.state_dir) / FILE)
        self._networks: list[str] | None = None  # of the line's operator; read when a measurement wants them

    async def run(
        self, measurement: str, options: Mapping[str, object], progress: Callable[[str], None] = lambda _: None
    ) -> Outcome:
        """Run one measurement. What ``options`` leaves out comes from the configuration's [measure] section.

        Raises UsageError for wrong options and CannotMeasure where nothing could be measured.
        """
        kind = load(measurement)
        parsed = parse_options(kind, options, await self._defaults(kind, progress))
        seed = SystemRandom().getrandbits(63)
        chance = Random(seed ^ 0x5DEECE66D)  # the engine's own: ports and sequence numbers need no replay
        self._pace.flush()  # what others have sent meanwhile
        own = own_addresses()
        interface = self._config.probe.interface
        timeline = Timeline()
        performer = Performer(Bench(
            guard=Guard(self._allow, own.addresses, own.networks),
            pace=self._pace,
            own=own,
            scrubber=Scrubber(own.addresses, home_networks(list(own.interfaces)), self._allow),
            ports=Ports(chance),
            raw=RawSender(chance, interface),
            timeline=timeline,
            interface=interface,
            authorities=self._config.measure.authorities,
        ))  # fmt: skip
        started = timeline.now()
        baseline = self._memory.load(started // 10**9)
        try:
            async with performer:
                context = Context(Random(seed), progress, baseline)
                bare, batches, heard = await _drive(kind, parsed, context, performer)
                bare = _with_losses(bare, performer.intake)
        finally:
            self._pace.flush()
        duration = (timeline.now() - started) / 1e9
        timeline.refresh()
        judgement = await _named(bare, self._config.measure.prefixes, progress)
        exchange_log = ExchangeLog(
            software=SOFTWARE,
            measurement=kind.name,
            version=kind.version,
            options=msgspec.to_builtins(parsed),
            seed=seed,
            batches=batches,
            verdict=judgement.verdict,
            technique=judgement.interference.technique if judgement.interference else "",
            rule=judgement.rule,
            baseline={a: baseline.hosts[a] for a in _addresses(batches) if a in baseline.hosts},
        )
        if judgement.verdict == "clean":
            await asyncio.to_thread(self._memory.add, heard, started // 10**9)
        from probe.engine.record import seal  # with all that hashes and packs: 1 MB, for who has measured

        evidence, pcapng = seal(performer.intake.records, exchange_log)
        return Outcome(
            measurement=kind.name,
            version=kind.version,
            judgement=judgement,
            started=started / 1e9,
            duration=duration,
            clock="synchronised" if synchronised() and not timeline.stepped else "unsynchronised",
            evidence=evidence,
            pcapng=pcapng,
        )

    async def by_the_thousand(self, wanted: Wanted) -> Told:
        """Work by the thousand, beside the measurements: through their budget, and in turn with their packets.

        Raises as :func:`probe.engine.bulk.rows.perform` and :func:`~probe.engine.bulk.setup.place` do.
        """
        from probe.engine.bulk.drive import beside  # with what such work needs: for who wants it
        from probe.engine.bulk.rows import perform
        from probe.engine.bulk.setup import place

        self._pace.flush()  # what others have sent meanwhile
        try:
            where = place(self._config, wanted.rate, self._pace.budget)
            return await beside(perform(where, wanted, self._config.measure.resolver), self._pace)
        finally:
            self._pace.flush()

    async def _defaults(self, kind: Measurement, progress: Callable[[str], None]) -> dict[str, object]:
        """The [measure] section and, for a measurement that wants them, the networks of the line's own operator."""
        defaults: dict[str, object] = msgspec.structs.asdict(self._config.measure)
        table, asn = self._config.measure.prefixes, self._config.line.asn
        if table and asn and any(field.name == _OPERATOR for field in msgspec.structs.fields(kind.options)):
            if self._networks is None:
                try:
                    self._networks = await asyncio.to_thread(networks_of, table, asn)
                except ConfigError as error:
                    progress(f"the operator's networks stay unknown: {error}")
                    self._networks = []
            defaults[_OPERATOR] = self._networks
        return defaults


def _with_losses(judgement: Judgement, intake: Intake) -> Judgement:
    """The judgement, with a note of what the capture lost. A loss invents no packet: the verdict stands."""
    losses = {"capture_dropped": intake.dropped(), "capture_malformed": intake.malformed}
    noted = {name: count for name, count in losses.items() if count}
    return msgspec.structs.replace(judgement, details={**judgement.details, **noted}) if noted else judgement


async def _named(judgement: Judgement, table: str, progress: Callable[[str], None]) -> Judgement:
    try:
        # A table of the whole Internet takes a Pi seconds to read: the other runs must not stand still.
        return await asyncio.to_thread(name_networks, judgement, table)
    except ConfigError as error:
        progress(f"networks stay without names: {error}")  # no reason to lose a finding
        return judgement


async def _drive(
    kind: Measurement, options: object, context: Context, performer: Performer
) -> tuple[Judgement, list[list[Entry]], list[Exchange]]:
    batches: list[list[Entry]] = []
    heard: list[Exchange] = []
    steps = kind.measure(options, context)
    try:
        batch = next(steps)
        while True:
            entries: list[Entry] = []
            exchanges = await performer.perform(batch, entries.append)
            batches.append(entries)
            heard += exchanges
            batch = steps.send(exchanges)
    except StopIteration as stop:
        return stop.value, batches, heard
    finally:
        steps.close()


def _addresses(batches: list[list[Entry]]) -> list[str]:
    """Whom a run sent to, each once."""
    steps = [entry.step for batch in batches for entry in batch]
    return list(dict.fromkeys(step.address for step in steps if not isinstance(step, PauseStep)))


def run_once(
    config: Config, measurement: str, options: Mapping[str, object], progress: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Run one measurement outside a daemon (contract 2: in process, with CAP_NET_RAW)."""
    return asyncio.run(EngineRunner(config).run(measurement, options, progress))
