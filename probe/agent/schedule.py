"""Which job is next, and when. Pure: time is handed in (seconds of a monotonic clock), chance too.

No herd: a job that never ran begins at a random moment, one that did keeps its rhythm over a restart, and each turn is
varied by the jitter. No two measurements of one host run at once, nor within the spacing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

from probe.agent.jobs import Job

START_WITHIN = 300.0
"""Seconds within which a job that never ran begins."""
AT_ONCE = 2
"""Most scheduled measurements under way at once: a home line is narrow, and they must not disturb each other."""


class Planner:
    """The plan. Every job that :meth:`next` hands out has to come back through :meth:`finished`."""

    def __init__(self, random: Random, *, spacing: float, jitter: float, at_once: int = AT_ONCE) -> None:
        self._random, self._spacing, self._jitter, self._at_once = random, spacing, jitter, at_once
        self._jobs: dict[str, Job] = {}
        self._due: dict[str, float] = {}
        self._running: dict[str, Job] = {}
        self._free: dict[str, float] = {}

    def plan(
        self, jobs: Iterable[Job], ages: Mapping[str, float], now: float, start_within: float = START_WITHIN
    ) -> None:
        """Take these jobs instead of the former ones; what is planned for those that stay, stays.

        ``ages``: seconds since the last run of those that ran, by key. ``start_within``: seconds over which the first
        runs of the others are spread.
        """
        self._jobs = {job.key: job for job in jobs}
        self._due = {key: due for key, due in self._due.items() if key in self._jobs}
        for job in self._jobs.values():
            spread = min(start_within, job.every)
            age = ages.get(job.key, -1.0)
            # An age below zero, or a rhythm that was missed, tells nothing: begin at any moment, as if it never ran.
            rest = job.every - age if 0 <= age < job.every else self._random.uniform(0, spread)
            latest = now + job.every * (1 + self._jitter)  # for a job whose rhythm has become a faster one
            self._due[job.key] = min(self._due.get(job.key, now + rest), latest)

    def next(self, now: float) -> tuple[Job | None, float]:
        """The job to begin now, or None and the seconds until one may (infinite while only :meth:`finished` helps)."""
        hosts = {job.host for job in self._running.values()}
        waiting = [(due, self._jobs[key]) for key, due in self._due.items() if self._jobs[key].host not in hosts]
        if not waiting or len(self._running) >= self._at_once:
            return None, float("inf")
        moment, _, chosen = min(
            ((max(due, self._free.get(job.host, due)), due, job) for due, job in waiting), key=lambda turn: turn[:2]
        )
        if moment > now:
            return None, moment - now
        self._running[chosen.key] = chosen
        vary = self._random.uniform(1 - self._jitter, 1 + self._jitter)
        self._due[chosen.key] = now + chosen.every * vary
        return chosen, 0.0

    def finished(self, job: Job, now: float, retry_in: float | None = None) -> None:
        """A job is over. ``retry_in``: seconds to its next turn at most, because this one came to nothing."""
        if retry_in is not None and job.key in self._due:
            self._due[job.key] = min(self._due[job.key], now + retry_in)
        self._running.pop(job.key, None)
        self._free[job.host] = now + self._spacing
        if len(self._free) > 4096:
            self._free = {host: at for host, at in self._free.items() if at > now}

    def retire(self, job: Job) -> None:
        """Give a job no further turn; one that is under way ends as it would."""
        self._due.pop(job.key, None)

    def upcoming(self, now: float, limit: int = 5) -> list[tuple[float, Job]]:
        """What is due next: (seconds from now, job), the soonest first; those under way are not among them."""
        waiting = [(due - now, self._jobs[key]) for key, due in self._due.items() if key not in self._running]
        return sorted(waiting, key=lambda pair: pair[0])[:limit]

    @property
    def running(self) -> list[Job]:
        """The jobs under way."""
        return list(self._running.values())
