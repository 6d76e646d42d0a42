"""Runs what the plan says is due, and hands on what comes of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from probe.agent.jobs import Job
from probe.agent.journal import fields
from probe.agent.runner import Runner
from probe.agent.schedule import Planner
from probe.model.errors import ColibriError
from probe.model.outcome import Outcome

log = logging.getLogger(__name__)

LIMIT = 900.0
"""Seconds after which a measurement is cancelled."""
_GRACE = 60.0  # seconds for a cancelled one to end; after that the worker shows no progress any more
_RETRY = 120.0  # seconds after which a measurement that could not take place has another turn
_TICK = 40.0  # seconds, the longest it sleeps: each wake-up is a sign of life for the watchdog


class Worker:
    """The plan's executor; :meth:`run` is its task.

    ``deliver`` takes each outcome and the job it came from; what it raises ends the task. A measurement that fails is
    logged, counted in ``counts`` and tried again; it never ends the task.
    """

    def __init__(
        self,
        planner: Planner,
        runner: Runner,
        deliver: Callable[[Outcome, Job], Awaitable[None]],
        *,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        limit: float = LIMIT,
        once: bool = False,
        hold: Callable[[], bool] = lambda: False,
    ) -> None:
        """``hold``: whether nothing may begin now."""
        self._planner, self._runner, self._deliver, self._hold = planner, runner, deliver, hold
        self._beat, self._clock, self._limit, self._once = beat, clock, limit, once
        self._tasks: dict[asyncio.Task[None], float] = {}
        self.counts: Counter[str] = Counter()
        """How many runs ended how: a verdict, or ``failed``."""

    async def run(self) -> None:
        """Until cancelled; with ``once``, until each job has had its one turn. Ends what is under way when it ends."""
        try:
            while True:
                job, wait = (None, _TICK) if self._hold() else self._planner.next(self._clock())
                if job is not None:
                    self._begin(job)
                elif not self._tasks and wait == float("inf") and self._once:
                    return
                else:
                    await self._wait(wait)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, job: Job) -> None:
        if self._once:
            self._planner.retire(job)
        log.debug("%s of %s begins", job.measurement, job.target)
        self._tasks[asyncio.create_task(self._perform(job), name=job.key)] = self._clock()

    async def _wait(self, seconds: float) -> None:
        now = self._clock()
        if all(now - began < self._limit + _GRACE for began in self._tasks.values()):
            self._beat()
        timeout = max(0.0, min(seconds, _TICK))
        if not self._tasks:
            await asyncio.sleep(timeout)
            return
        done, _ = await asyncio.wait(self._tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._tasks[task]
            task.result()

    async def _perform(self, job: Job) -> None:
        outcome: Outcome | None = None
        told = fields(measurement=job.measurement, target=job.target)
        try:
            async with asyncio.timeout(self._limit):
                outcome = await self._runner.run(job.measurement, job.options, _ignore)
        except TimeoutError:
            log.error("%s of %s took more than %.0f s", job.measurement, job.target, self._limit, extra=told)
        except ColibriError as error:
            log.warning("%s of %s could not take place: %s", job.measurement, job.target, error, extra=told)
        except Exception:  # a fault in one measurement must not silence the others
            log.exception("%s of %s failed: a fault of ours", job.measurement, job.target, extra=told)
        finally:
            self._planner.finished(job, self._clock(), None if outcome else _RETRY)
        self.counts[outcome.judgement.verdict if outcome else "failed"] += 1
        if outcome is not None:
            await self._deliver(outcome, job)


def _ignore(_progress: str) -> None:
    """Nobody waits for the progress of a scheduled run."""
