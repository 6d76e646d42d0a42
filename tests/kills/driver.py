"""A probe that has everything of ``colibri run`` but the engine: ``driver.py CONFIG LEDGER [SECONDS-AGO]``.

Real: the daemon, its schedule, signing, spool, publisher, connection, heartbeats. Left out: packets. A measurement ends
at once with a made-up outcome that bears a serial number. Every finding whose :meth:`Spool.add` has returned is written
to the ledger, a line each: that is the promise which kills are held against.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

from probe.agent import daemon, journal
from probe.model.config import Config
from probe.model.finding import Evidence, Finding, Interference, Judgement, Tally, Target
from probe.model.outcome import Outcome

EVIL = 7  # every so many findings is one of interference, with evidence


class Serial:
    """Runs nothing; outcomes are numbered within a start of the process."""

    def __init__(self, ago: float) -> None:
        self._ago, self._numbers, self._start = ago, count(), f"{os.getpid()}-{time.time_ns()}"

    async def run(self, measurement: str, options: Mapping[str, object], _: Callable[[str], None]) -> Outcome:
        """An outcome at once."""
        number, target = next(self._numbers), str(options["target"])
        bad = number % EVIL == 0
        packets = b"\x0a\x0d\x0d\x0a" + os.urandom(500) if bad else b""
        return Outcome(
            measurement=measurement, version="1", started=time.time() - self._ago, duration=0.0, clock="synchronised",
            evidence=Evidence(1, hashlib.sha256(packets).hexdigest()) if bad else Evidence(), pcapng=packets,
            judgement=Judgement(
                verdict="interfered" if bad else "clean", rule="made/up", target=Target(target, target),
                interference=Interference("dns_injection") if bad else None, trials=Tally(3, 3), confidence=1.0,
                details={"start": self._start, "serial": number, "padding": "x" * 800},
            ),
        )  # fmt: skip


def main(config: str, ledger: str, ago: str = "0") -> int:
    """Run until SIGTERM; returns the exit status."""
    journal.set_up()
    runner = Serial(float(ago))

    def make(_: Config) -> Serial:
        return runner

    with Path(ledger).open("a") as file:

        file.write("\n")  # what a kill left half written ends here

        def promise(finding: Finding) -> None:
            file.write(f"{finding.id}\n")
            file.flush()  # in the kernel's hands: a killed process loses nothing of it

        return daemon.run(config, make_runner=make, show=promise)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
