"""``colibri run``: signals, reload, and how the process ends."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import Literal

from probe.agent import choices, enrol_task
from probe.agent.backoff import Backoff
from probe.agent.config import find, load, load_targets
from probe.agent.enrol_child import Apart
from probe.agent.enrol_files import EnrolFiles, applied
from probe.agent.notify import Heartbeats, Notifier
from probe.agent.runner import Runner
from probe.agent.session import MakeRunner, Session, TaskDiedError
from probe.model.config import Config, TargetEntry
from probe.model.errors import CannotMeasure, ConfigError
from probe.model.finding import Finding

log = logging.getLogger(__name__)

_ENROLLING = 100.0  # seconds within which enrolment has to show that it goes on: it does each 40

_STATUS_EVERY = 60.0

Signal = Literal["stop", "reload"]
Settings = tuple[Config, list[TargetEntry]]


def engine(config: Config) -> Runner:
    """The runner of a real line."""
    from probe.engine.run import EngineRunner

    return EngineRunner(config)


def run(
    config_path: str | Path | None,
    once: bool = False,
    *,
    make_runner: MakeRunner = engine,
    show: Callable[[Finding], None] = lambda _: None,
) -> int:
    """Run the daemon until SIGTERM or SIGINT, or one round of everything with ``once``; returns the exit status.

    0: stopped as asked (``once``: something was measured); 1: a part of the daemon died, its reason is logged and told
    to systemd, which starts it again. Raises ConfigError for a bad configuration at the start, and CannotMeasure where
    another daemon runs or (``once``) there is nothing to measure, or nothing could be.
    """
    path = find(config_path)
    config, targets = read(path)
    return asyncio.run(_Daemon(path, make_runner, once, show).main(config, targets))


def read(path: Path | None) -> Settings:
    """All that a start and a reload check. Raises ConfigError."""
    config = choices.applied(applied(load(path)))
    return config, load_targets(config)


class _Daemon:
    def __init__(self, path: Path | None, make_runner: MakeRunner, once: bool, show: Callable[[Finding], None]) -> None:
        self._path, self._make_runner, self._once, self._show = path, make_runner, once, show
        self._notifier = Notifier()
        self._signals: asyncio.Queue[Signal] = asyncio.Queue()

    async def main(self, config: Config, targets: list[TargetEntry]) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signals.put_nowait, "stop")
        loop.add_signal_handler(signal.SIGHUP, self._signals.put_nowait, "reload")
        try:
            settings = (config, targets) if self._once else await self._enrolled((config, targets))
            if settings is not None:
                await self._run(settings)
        except TaskDiedError as death:
            log.critical("%s", death, exc_info=death.__cause__)
            self._notifier.stopping(str(death))
            return 1
        return 0

    async def _enrolled(self, settings: Settings) -> Settings | None:
        """Wait until the device has its certificate, if it is to get one: the settings then; None: told to stop."""
        while settings[0].enrol.server and EnrolFiles(settings[0].probe.state_dir).membership is None:
            beats = Heartbeats()
            enrolment = Apart(settings[0].enrol, settings[0].probe.state_dir)
            beat = beats.expect("enrolment", _ENROLLING)
            work = enrol_task.enrol(enrolment, Backoff(SystemRandom(), most=600.0), beat, self._notifier.status)
            self._notifier.ready("waiting to be enrolled")
            enrolling = asyncio.ensure_future(work)
            watchdog = asyncio.ensure_future(self._notifier.feed_watchdog(beats))
            word = asyncio.ensure_future(self._signals.get())
            try:
                await asyncio.wait((enrolling, word), return_when=asyncio.FIRST_COMPLETED)
                if enrolling.done():
                    enrolling.result()  # raises what ended it
                elif word.result() == "stop":
                    self._notifier.stopping("stopping")
                    return None
                settings = read(self._path)
            except ConfigError as error:
                log.error("the new configuration is refused, the former stays in force: %s", error)
            finally:
                for task in (enrolling, watchdog, word):
                    task.cancel()
        return settings

    async def _run(self, current: Settings) -> None:
        former: Settings | None = None
        while True:
            try:
                following = await self._hold(self._session(current))
            except (ConfigError, CannotMeasure) as error:
                if former is None:
                    raise
                # It could be read, but not be started with (a folder that can't be written …).
                log.error("the new configuration is refused, the former comes back into force: %s", error)
                current, former = former, None
                continue
            if following is None:
                return
            current, former = following, current

    def _session(self, settings: Settings) -> Session:
        def reload() -> None:
            self._signals.put_nowait("reload")

        return Session(*settings, self._make_runner, once=self._once, show=self._show, reload=reload)

    async def _hold(self, session: Session) -> Settings | None:
        """Hold a session until it is to end; the configuration of the next one, or None for no next."""
        async with session:
            self._notifier.ready(session.summary())
            log.info("running: %s", session.summary())
            if self._once and not session.has_jobs:
                raise CannotMeasure("there is nothing to measure", "name a target list in [targets] files")
            watchdog = asyncio.ensure_future(self._notifier.feed_watchdog(session.heartbeats))
            over = asyncio.ensure_future(session.wait())
            try:
                following = await self._until(session, over)
            finally:
                watchdog.cancel()
                over.cancel()
            if following is None:
                self._notifier.stopping("stopping")
        if self._once and over.done() and session.attempts.keys() <= {"failed"}:
            raise CannotMeasure("nothing could be measured", "the reasons are above; colibri doctor tells more")
        return following

    async def _until(self, session: Session, over: asyncio.Future[None]) -> Settings | None:
        while True:
            word = asyncio.ensure_future(self._signals.get())
            await asyncio.wait((word, over), timeout=_STATUS_EVERY, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                word.cancel()
                over.result()  # raises what ended it
                return None
            if not word.done():
                word.cancel()
                self._notifier.status(session.summary())
            elif word.result() == "stop":
                return None
            elif not self._once:
                following = self._reload(session)
                if following is not None:
                    return following

    def _reload(self, session: Session) -> Settings | None:
        self._notifier.reloading()
        try:
            following = read(self._path)
        except ConfigError as error:
            log.error("the new configuration is refused, the former stays in force: %s", error)
            self._notifier.ready(f"new configuration refused: {error}; {session.summary()}")
            return None
        log.info("the configuration was read again")
        return following


