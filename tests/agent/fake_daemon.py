"""A daemon with a runner that touches no network, as a process of its own: ``fake_daemon.py CONFIG [once]``.

A target whose name holds ``fails`` can't be measured, ``breaks`` raises, ``hangs`` never ends, ``interfered`` is.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from probe.agent import daemon
from probe.model.config import Config
from probe.model.errors import CannotMeasure
from probe.model.finding import Evidence, Judgement, Tally, Target
from probe.model.outcome import Outcome


class FakeRunner:
    """Judges at once, by the target's name."""

    async def run(self, measurement: str, options: Mapping[str, object], progress: Callable[[str], None]) -> Outcome:
        target = str(options["target"])
        progress(f"asking for {target}")
        if "fails" in target:
            raise CannotMeasure("no route", "plug it in")
        if "breaks" in target:
            raise ZeroDivisionError("a fault")
        if "hangs" in target:
            await asyncio.sleep(3600)
        await asyncio.sleep(0.01)
        interfered = "interfered" in target
        return Outcome(
            measurement=measurement,
            version="1",
            judgement=Judgement(
                verdict="interfered" if interfered else "clean",
                rule="fake/rule",
                target=Target(target, name=target),
                trials=Tally(3, 3),
                confidence=1.0,
            ),
            started=time.time(),
            duration=0.01,
            clock="synchronised",
            evidence=Evidence(packets=1),
            pcapng=b"pcapng of " + target.encode(),
        )


def make_runner(_config: Config) -> FakeRunner:
    return FakeRunner()


if __name__ == "__main__":
    from probe.agent.journal import set_up
    from probe.model.errors import ColibriError

    set_up()
    try:
        once = "once" in sys.argv[2:]
        sys.exit(daemon.run(Path(sys.argv[1]), once, make_runner=make_runner, show=lambda f: print(f.id, flush=True)))
    except ColibriError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
