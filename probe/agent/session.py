"""Everything that runs while one configuration is in force, and how it begins and ends."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from random import SystemRandom
from typing import Any, Self, TextIO

from probe.agent import choices, line
from probe.agent.asked import Asked
from probe.agent.backoff import Backoff
from probe.agent.control import ControlSocket, MeasureRequest
from probe.agent.delivery import SOFTWARE, Delivery
from probe.agent.enrol_child import Apart
from probe.agent.enrol_task import keep
from probe.agent.findings import instant
from probe.agent.heartbeat import Pulse, Vitals
from probe.agent.home import HomeSocket, code_file
from probe.agent.home_view import view
from probe.agent.household import Household
from probe.agent.identity import Identity
from probe.agent.jobs import Job, jobs
from probe.agent.memory import Memory
from probe.agent.notify import Heartbeats
from probe.agent.pause import PausableRunner, Pause, PausedError
from probe.agent.publisher import Publisher
from probe.agent.recent import Recent
from probe.agent.requests_desk import RequestDesk
from probe.agent.runner import Runner
from probe.agent.schedule import Planner
from probe.agent.spool import Spool
from probe.agent.thousands import Thousands
from probe.agent.unix import UnixServer
from probe.agent.waiting import Waiting
from probe.agent.worker import LIMIT, Worker
from probe.engine.clock import synchronised
from probe.measurements import load as load_measurement
from probe.measurements import names as measurement_names
from probe.model import feed
from probe.model.config import Config, TargetEntry
from probe.model.errors import CannotMeasure, ColibriError, ConfigError, MalformedRecord
from probe.model.finding import SCHEMA, Clock, Finding
from probe.model.heartbeat import Heartbeat
from probe.model.home import View
from probe.model.outcome import Outcome
from probe.model.request import Request

log = logging.getLogger(__name__)

_NO_PROGRESS = 100.0  # seconds; the tasks wake up every 40
_DRAIN = 30.0

MakeRunner = Callable[[Config], Runner]


class TaskDiedError(ColibriError):
    """A part of the daemon ended by itself; the process has to end with it."""


class Session:
    """The daemon's parts, wired for one configuration. An async context: entering starts them, leaving ends them.

    ``show`` is called with each finding, ``reload`` when the settings should be read again. Entering raises ConfigError
    where the state folder can't be used, and CannotMeasure where another daemon uses it.
    """

    def __init__(
        self,
        config: Config,
        targets: list[TargetEntry],
        make_runner: MakeRunner,
        *,
        once: bool = False,
        show: Callable[[Finding], None] = lambda _: None,
        reload: Callable[[], None] = lambda: None,
    ) -> None:
        self._config, self._once, self._show, self._reload = config, once, show, reload
        self._jobs = jobs(targets, config)
        self._targets = targets
        self._make_runner = make_runner
        self._link = line.Link()
        self._link_known = False
        self._since = time.time()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.heartbeats = Heartbeats()

    async def __aenter__(self) -> Self:
        folder = Path(self._config.probe.state_dir)
        async with AsyncExitStack() as stack:
            try:
                stack.push(_lock(folder))
                self._identity = Identity(folder, self._config.probe.id)
                self._memory = Memory(folder / "memory.json")
                self._spool = Spool(folder / "spool.sqlite3", self._config.spool.max_bytes)
                self._waiting = Waiting(folder / "heartbeats.jsonl", self._identity.sign)
                self._recent = Recent(folder)
                self._pause = Pause(folder)
                self._asked = Asked(folder)
            except OSError as error:
                raise ConfigError("probe.state_dir", f"{folder} can't be used: {error}") from None
            stack.callback(self._spool.close)
            if self._once and self._pause.on:
                raise PausedError
            self._engine = self._make_runner(self._config)
            self._runner = PausableRunner(self._engine, self._pause)
            self._pause.watch(self._pause_changed)
            self._assemble()
            if not self._once:
                self._desk = RequestDesk(
                    self._config, self._identity.id, self._pause, self._asked, measure=self._requested,
                    say=self._publisher.say, reload=self._reload,
                )  # fmt: skip
                self._publisher.listen(self._desk.topics, self._desk.hear)
                stack.push_async_callback(self._desk.close)
            if not self._once:
                await self._open_sockets(stack, folder)
            self._start("publisher", self._publisher.run())
            self._start("worker", self._worker.run())
            if not self._once:
                self._start("line", line.watch(self._line_changed))
                if self._config.mqtt.host:
                    self._start("pulse", self._pulse.run())
                enrolment = Apart(self._config.enrol, folder)
                if enrolment.files.membership is not None:
                    beat = self.heartbeats.expect("enrolment", _NO_PROGRESS)
                    self._start("enrolment", keep(enrolment, bool(self._config.enrol.code), self._reload, beat))
                if self._config.homeassistant.host:
                    self._start("household", self._household.run())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._publisher.stop()
        for task in self._tasks:
            if task.get_name() != "publisher":
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        self._waiting.save()
        try:
            self._memory.save()
            self._recent.save()
        except OSError as error:
            log.warning("what was remembered is lost: %s", error)

    async def _open_sockets(self, stack: AsyncExitStack, folder: Path) -> None:
        control, page = self._config.control, self._config.page
        servers: list[tuple[str, str, UnixServer]] = []
        if control.socket:
            thousands = Thousands(self._engine, self._pause, self._asked)
            own = ControlSocket(
                Path(control.socket), control.group, self._measure, self.status, self._pause, thousands
            )
            servers.append(("control.socket", control.socket, own))
        if page.socket or control.socket:
            path = page.socket or str(Path(control.socket).with_name("page.sock"))
            home = HomeSocket(Path(path), page.group, code_file(page, folder), folder, self._view, self._pause)
            home.chosen = self._reload
            servers.append(("page.socket", path, home))
        for option, path, server in servers:
            try:
                await stack.enter_async_context(server)
            except OSError as error:
                raise ConfigError(option, f"{path} can't be used: {error}") from None

    def _assemble(self) -> None:
        config, beats = self._config, self.heartbeats
        self._publisher = Publisher(
            config.mqtt,
            self._identity.id,
            self._spool,
            self._info,
            backoff=Backoff(SystemRandom()),
            beat=beats.expect("publisher", _NO_PROGRESS),
            waiting=self._waiting,
            hold=lambda: self._pause.on,
        )
        self._pulse = Pulse(self._identity.id, SOFTWARE, self._vitals, self._take_heartbeat)
        self._household = Household(
            config.homeassistant, self._identity.id, SOFTWARE, backoff=Backoff(SystemRandom())
        )
        self._delivery = Delivery(self._identity, lambda: line.identity(config.line, self._link), self._publisher)
        self._planner = Planner(SystemRandom(), spacing=config.safety.target_spacing, jitter=config.schedule.jitter)
        ages, now = self._memory.ages(), time.monotonic()
        if self._once:
            self._planner.plan(self._jobs, {}, now, start_within=0.0)
        else:
            self._planner.plan(self._jobs, ages, now)
        beat = beats.expect("worker", _NO_PROGRESS)
        self._worker = Worker(
            self._planner, self._runner, self._deliver, beat=beat, once=self._once, hold=lambda: self._pause.on
        )

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def wait(self) -> None:
        """Until a part of the daemon ends. With ``once``, returns when the round is over and the spool is empty (or
        cannot be emptied in half a minute). Raises TaskDiedError with the reason otherwise."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception() if not task.cancelled() else None
            if error is None and self._once and task.get_name() == "worker":
                await self._drain()
                return
            reason = f"{type(error).__name__}: {error}" if error else "it ended"
            raise TaskDiedError(f"the {task.get_name()} died: {reason}") from error

    async def _drain(self) -> None:
        if self._config.mqtt.host and not await self._publisher.drained(_DRAIN):
            trouble = self._publisher.trouble or "the collector has not said 'stored'"
            log.warning("%d findings wait in the spool: %s", self._spool.depth, trouble)

    @property
    def attempts(self) -> dict[str, int]:
        """How many runs ended how: a verdict, or ``failed``."""
        return dict(self._worker.counts)

    @property
    def has_jobs(self) -> bool:
        """Whether there is anything to measure."""
        return bool(self._jobs)

    async def _deliver(self, outcome: Outcome, job: Job) -> None:
        try:
            finding = self._delivery.finding(outcome, job.group)
        except MalformedRecord as error:
            log.error("a measurement returned what can't be published: %s", error)
            return
        await self._delivery.publish(outcome, finding)
        self._asked.note("measurement", "done", f"{job.measurement} of {job.target}", finding.verdict, "schedule")
        self._memory.ran(job.key)
        self._household.note(finding)
        self._note(finding)
        self._show(finding)

    async def _measure(self, request: MeasureRequest, progress: Callable[[str], None]) -> tuple[Finding, bytes]:
        outcome = await self._runner.run(request.measurement, request.options, progress)
        finding = self._delivery.finding(outcome)
        subject = f"{request.measurement} of {finding.target.input}"
        self._asked.note("measurement", "done", subject, finding.verdict, "socket")
        if request.publish:
            await self._delivery.publish(outcome, finding)
            self._household.note(finding)
            self._note(finding)
        return finding, outcome.pcapng

    async def _requested(self, request: Request) -> Finding:
        async with asyncio.timeout(LIMIT):
            outcome = await self._runner.run(request.measurement, request.options, lambda _: None)
        finding = self._delivery.finding(outcome)
        await self._delivery.publish(outcome, finding)
        self._note(finding)
        return finding

    def _note(self, finding: Finding) -> None:
        of = finding.target.input
        self._recent.note(finding, next((entry.category for entry in self._targets if entry.target == of), ""))

    def _pause_changed(self) -> None:
        self._publisher.refresh()  # wakes it up as well, so what waited goes out after a pause

    def _line_changed(self, link: line.Link) -> None:
        self._link, self._link_known = link, True
        if link.up:
            log.info("the line is up on %s", link.interface)
            self._publisher.hurry()
            self._publisher.refresh()
        else:
            log.warning("the line is down: no default route, or no address to send from")

    def _vitals(self) -> Vitals:
        counts = self._worker.counts
        return Vitals(
            measured=sum(counts.values()) - counts["failed"],
            failed=counts["failed"],
            spool_depth=self._spool.depth,
            link="unknown" if not self._link_known else "up" if self._link.up else "down",
            connected=self._publisher.connected,
        )

    def _take_heartbeat(self, heartbeat: Heartbeat, made: float) -> None:
        self._waiting.add(heartbeat, made)
        self._publisher.wake()

    def _info(self) -> feed.Info:
        return feed.Info(
            probe=self._identity.id,
            software=SOFTWARE,
            line=line.identity(self._config.line, self._link),
            measurements={name: load_measurement(name).version for name in measurement_names()},
            finding_schema=SCHEMA,
            spool_depth=self._spool.depth,
            dropped=sum(self._spool.dropped.values()),
            paused=self._pause.on,
            at=instant(time.time()),
        )

    def summary(self) -> str:
        """One line for ``systemctl status``."""
        host = self._config.mqtt.host
        feed_state = "connected" if self._publisher.connected else self._publisher.trouble or "not connected yet"
        told = f"feed {feed_state}" if host else "no broker configured"
        told = f"PAUSED by the {' and the '.join(self._pause.holders)}; {told}" if self._pause.on else told
        return f"{len(self._jobs)} measurements planned; {told}; {self._spool.depth} findings in the spool"

    def status(self) -> dict[str, Any]:
        """What ``colibri status`` shows. It stays on this device: the interface may be named."""
        now = time.monotonic()
        return {
            "probe": self._identity.id,
            "software": SOFTWARE,
            "pid": os.getpid(),
            "cpu_s": round(time.process_time(), 4),
            "since": instant(self._since),
            "line": line.identity(self._config.line, self._link),
            "link": {"up": self._link.up, "known": self._link_known, "interface": self._link.interface},
            "feed": {
                "host": self._config.mqtt.host,
                "connected": self._publisher.connected,
                "trouble": self._publisher.trouble,
            },
            "spool": {"depth": self._spool.depth, "bytes": self._spool.bytes, "dropped": self._spool.dropped},
            "counts": dict(self._worker.counts),
            "paused": dict(self._pause.holders),
            "running": [{"measurement": job.measurement, "target": job.target} for job in self._planner.running],
            "next": [
                {"in_s": round(delay, 1), "measurement": job.measurement, "target": job.target}
                for delay, job in self._planner.upcoming(now)
            ],
            "planned": len(self._jobs),
            "bytes_per_day": self._config.safety.bytes_per_day,
            "stalled": self.heartbeats.stalled(),
        }

    def _view(self) -> View:
        categories = choices.categories(self._targets, self._config.safety.sensitive)
        clock: Clock = "synchronised" if synchronised() else "unsynchronised"
        return view(self.status(), self._recent.newest(), categories, instant(time.time()), clock)


def _lock(folder: Path) -> TextIO:
    """One daemon a state folder: the lock ends with the process, whatever ends it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CannotMeasure(f"another daemon uses {folder}", "stop it, or ask it: colibri measure") from None
    return file
