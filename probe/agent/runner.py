"""The seam between the daemon and the engine: whoever can run a measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from probe.model.outcome import Outcome


class Runner(Protocol):
    """Runs measurements; :class:`probe.engine.run.EngineRunner` does it on the line."""

    async def run(
        self, measurement: str, options: Mapping[str, object], progress: Callable[[str], None]
    ) -> Outcome:
        """Run one. Raises UsageError for wrong options and CannotMeasure where nothing could be measured."""
