"""From an outcome to the spool: assembled, signed, told in the journal, kept, published."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from probe import __version__
from probe.agent.findings import assemble, pack_evidence
from probe.agent.identity import Identity
from probe.agent.journal import fields
from probe.agent.publisher import Publisher
from probe.model.finding import Finding, Line, Probe
from probe.model.outcome import Outcome

log = logging.getLogger(__name__)

SOFTWARE = f"colibri {__version__}"


class Delivery:
    """Turns outcomes into findings of this probe. ``line``: the line as it is at that moment."""

    def __init__(
        self,
        identity: Identity,
        line: Callable[[], Line],
        publisher: Publisher,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._identity, self._line, self._publisher, self._entropy = identity, line, publisher, entropy

    def finding(self, outcome: Outcome, group: str = "") -> Finding:
        """The signed finding. Raises MalformedRecord if the measurement broke contract 1."""
        probe = Probe(self._identity.id, SOFTWARE)
        made = assemble(outcome, probe=probe, line=self._line(), group=group, entropy=self._entropy)
        return self._identity.sign(made)

    async def publish(self, outcome: Outcome, finding: Finding) -> None:
        """Into the spool (it is on the disk on return) and from there to the feed. Raises OSError if the disk fails."""
        packed = await asyncio.to_thread(pack_evidence, outcome)
        if packed is None and outcome.pcapng and finding.verdict != "clean":
            log.warning("evidence of %s is too large for the feed and is left out", finding.id)
        self._publisher.submit(finding, outcome.started, packed)
        technique = finding.interference.technique if finding.interference else ""
        told = fields(
            finding=finding.id,
            measurement=finding.measurement,
            target=finding.target.input,
            verdict=finding.verdict,
            technique=technique,
        )
        log.info("%s of %s: %s", finding.measurement, finding.target.input, technique or finding.verdict, extra=told)
