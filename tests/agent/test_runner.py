"""The seam fits: the engine's runner is a runner."""

from __future__ import annotations

import inspect

from probe.agent.runner import Runner
from probe.engine.run import EngineRunner
from probe.model.config import Config


def test_the_engines_runner_is_one() -> None:
    runner: Runner = EngineRunner(Config())
    assert list(inspect.signature(runner.run).parameters) == list(inspect.signature(Runner.run).parameters)[1:]
    assert inspect.iscoroutinefunction(runner.run)
