"""``colibri run``: signals, reload, and how the process ends."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from probe.agent.config import find, load, load_targets
from probe.agent.notify import Notifier
from probe.agent.runner import Runner
from probe.agent.session import MakeRunner, Session, TaskDiedError
from probe.model.config import Config, TargetEntry
from probe.model.errors import CannotMeasure, ConfigError
from probe.model.finding import Finding

log = logging.getLogger(__name__)

_STATUS_EVERY = 30.0

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
    config = load(path)
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
            await self._run((config, targets))
        except TaskDiedError as death:
            log.critical("%s", death, exc_info=death.__cause__)
            self._notifier.stopping(str(death))
            return 1
        return 0

    async def _run(self, current: Settings) -> None:
        former: Settings | None = None
        while True:
            try:
                following = await self._hold(Session(*current, self._make_runner, once=self._once, show=self._show))
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


