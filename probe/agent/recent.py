"""The last finding on each target, for the home's page: in memory, and in a file from one start to the next."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path

import msgspec

from probe.agent.files import write_whole
from probe.model.finding import Finding, Name
from probe.model.home import MOST_FINDINGS, Told

log = logging.getLogger(__name__)

FILE = "recent.json"
"""Its name in the state folder."""
MOST = 200
"""Most that are remembered; the one measured longest ago goes first."""
_MOST_REASONS = 6


class Recent:
    """Reads the file of an earlier start, if there is one that can be read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._told: OrderedDict[tuple[str, str], Told] = OrderedDict()
        try:
            for told in msgspec.json.decode(self._path.read_bytes(), type=list[Told]):
                self._told[told.measurement, told.target] = told
        except FileNotFoundError:
            pass
        except (msgspec.DecodeError, OSError) as error:
            log.warning("%s can't be read and is begun anew: %s", self._path, error)

    def note(self, finding: Finding, category: Name = "") -> None:
        """Take a finding into account. ``category``: of its target, if it is a sensitive one."""
        key = finding.measurement, finding.target.input
        self._told[key] = Told(
            measurement=finding.measurement,
            target=finding.target.input,
            group=finding.target.group,
            category=category,
            verdict=finding.verdict,
            technique=finding.interference.technique if finding.interference else None,
            at=finding.started_at,
            reasons=finding.reasons[:_MOST_REASONS],
        )
        self._told.move_to_end(key)
        if len(self._told) > MOST:
            self._told.popitem(last=False)

    def newest(self) -> list[Told]:
        """The newest, the one that was measured last first; interference is never left out for others."""
        found = list(reversed(self._told.values()))
        bad = [told for told in found if told.verdict == "interfered"][:MOST_FINDINGS]
        others = [told for told in found if told.verdict != "interfered"][: MOST_FINDINGS - len(bad)]
        kept = {id(told) for told in bad + others}
        return [told for told in found if id(told) in kept]

    def save(self) -> None:
        """Write it down, at the end: not more often, for the card's sake. Raises OSError."""
        write_whole(self._path, msgspec.json.encode(list(self._told.values())), mode=0o640)
