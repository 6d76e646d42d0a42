"""The plan: spread at the start, a rhythm with jitter, spacing, and never two at once on a host."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_right
from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.agent.jobs import Job
from probe.agent.schedule import AT_ONCE, START_WITHIN, Planner


def job(key: str, host: str = "h", every: float = 3600.0) -> Job:
    return Job(key, "dns_injection", host, host, "", every, {})


def planner(*jobs: Job, spacing: float = 30.0, jitter: float = 0.2, ages: dict[str, float] | None = None) -> Planner:
    plan = Planner(Random(7), spacing=spacing, jitter=jitter)
    plan.plan(jobs, ages or {}, now=1000.0)
    return plan


def simulate(plan: Planner, seconds: float, duration: float | dict[str, float]) -> list[tuple[float, float, Job]]:
    """Run the plan on a clock of its own: (start, end, job) of each run."""
    now, end = 1000.0, 1000.0 + seconds
    runs: list[tuple[float, float, Job]] = []
    ends: list[tuple[float, str, Job]] = []
    while now < end:
        chosen, wait = plan.next(now)
        if chosen is not None:
            takes = duration if isinstance(duration, float) else duration[chosen.key]
            runs.append((now, now + takes, chosen))
            heapq.heappush(ends, (now + takes, chosen.key, chosen))
            continue
        following = now + wait
        if ends and ends[0][0] <= following:
            now, _, over = heapq.heappop(ends)
            plan.finished(over, now)
        else:
            now = following
    return runs


def test_first_runs_are_spread_and_not_all_at_once() -> None:
    plan = planner(*(job(f"k{n}", f"h{n}") for n in range(100)))
    delays = [delay for delay, _ in plan.upcoming(1000.0, limit=100)]
    assert max(delays) <= START_WITHIN
    assert sum(delay < 30 for delay in delays) < 25
    assert min(delays) < 30


def test_a_restart_keeps_the_rhythm() -> None:
    plan = planner(job("a"), job("b", every=100.0), ages={"a": 3000.0, "b": 5000.0})
    due = {j.key: delay for delay, j in plan.upcoming(1000.0)}
    assert due["a"] == 600.0
    assert 0 <= due["b"] <= 100.0


def test_an_age_from_the_future_counts_as_never_run() -> None:
    plan = planner(job("a"), ages={"a": -1e9})
    assert plan.upcoming(1000.0)[0][0] <= START_WITHIN


def test_turns_vary_by_the_jitter_and_no_more() -> None:
    plan = planner(job("a", every=100.0), spacing=0.0)
    starts = [start for start, _, _ in simulate(plan, 20_000.0, 1.0)]
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    assert all(79.999 <= gap <= 120.001 for gap in gaps)
    assert max(gaps) - min(gaps) > 20


def test_a_new_plan_keeps_what_stays_and_forgets_what_went() -> None:
    plan = planner(job("a"), job("b", "g"))
    before = {j.key: delay for delay, j in plan.upcoming(1000.0)}
    plan.plan([job("b", "g"), job("c", "i", every=10.0)], {}, now=1000.0)
    after = {j.key: delay for delay, j in plan.upcoming(1000.0)}
    assert after["b"] == before["b"]
    assert after.keys() == {"b", "c"}
    plan.plan([job("b", "g", every=1.0)], {}, now=1000.0)
    assert plan.upcoming(1000.0)[0][0] < 1.21


def test_a_job_that_leaves_the_plan_while_it_runs_still_blocks_its_host() -> None:
    plan = Planner(Random(1), spacing=5.0, jitter=0.0)
    old, new = job("old"), job("new")
    plan.plan([old], {}, 0.0, start_within=0.0)
    assert plan.next(0.0)[0] is old
    plan.plan([new], {}, 0.0, start_within=0.0)
    assert plan.next(1.0) == (None, float("inf"))
    plan.finished(old, 2.0)
    assert plan.next(2.0) == (None, 5.0)
    assert plan.next(7.0)[0] is new


def test_a_retired_job_has_no_further_turn() -> None:
    plan = Planner(Random(1), spacing=0.0, jitter=0.0)
    plan.plan([job("a", every=1.0)], {}, 0.0, start_within=0.0)
    only, _ = plan.next(0.0)
    assert only is not None
    plan.retire(only)
    assert plan.running == [only]
    plan.finished(only, 1.0)
    assert plan.running == []
    assert plan.next(100.0) == (None, float("inf"))


def test_nothing_to_do_waits_for_ever() -> None:
    assert planner().next(0.0) == (None, float("inf"))


HOSTS = st.sampled_from(["h1", "h2", "h3"])
JOBS = st.lists(st.tuples(HOSTS, st.floats(1, 500), st.floats(0.1, 60)), min_size=1, max_size=8)


@settings(deadline=None)
@given(JOBS, st.floats(0, 60), st.floats(0, 1), st.integers(0, 2**32))
def test_whatever_the_jobs_the_limits_hold_and_none_starves(
    drawn: list[tuple[str, float, float]], spacing: float, jitter: float, seed: int
) -> None:
    jobs = [job(f"k{n}", host, every) for n, (host, every, _) in enumerate(drawn)]
    takes = {f"k{n}": duration for n, (_, _, duration) in enumerate(drawn)}
    plan = Planner(Random(seed), spacing=spacing, jitter=jitter)
    plan.plan(jobs, {}, now=1000.0)
    round_trip = sum(takes.values()) + spacing * len(jobs)  # the worst: all on one host, one after the other
    seconds = START_WITHIN + 3 * (1000.0 + round_trip)
    runs = simulate(plan, seconds, takes)
    starts, ends = sorted(start for start, _, _ in runs), sorted(end for _, end, _ in runs)
    for start in starts:
        assert bisect_right(starts, start) - bisect_right(ends, start) <= AT_ONCE
    for host in {j.host for j in jobs}:
        mine = sorted((start, end) for start, end, j in runs if j.host == host)
        for (_, end), (start, _) in itertools.pairwise(mine):
            assert start - end >= spacing - 1e-6
    counts = Counter(j.key for _, _, j in runs)
    for one in jobs:
        assert counts[one.key] >= 1
        assert counts[one.key] <= 1 + seconds / max(one.every * (1 - jitter), takes[one.key] + spacing)
