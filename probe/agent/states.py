"""The last verdict on each target: the feed's retained ``state`` messages (contract 3)."""

from __future__ import annotations

import logging
from collections import OrderedDict

import msgspec

from probe.agent.spool import Spool
from probe.model import feed
from probe.model.finding import Finding, Token

log = logging.getLogger(__name__)

MOST = 1000
"""Most states that are remembered; the one that changed longest ago goes first."""


class States:
    """Topic → state, in the order of their last change.

    They follow the making of findings and not their sending: a late finding, resent after an outage, must not put an
    old verdict back in place of a newer one. At start they are what the spool still holds.
    """

    def __init__(self, probe: Token, spool: Spool) -> None:
        self._probe = probe
        self._states: OrderedDict[str, bytes] = OrderedDict()
        for body in spool.newest(MOST):
            try:
                self.update(msgspec.json.decode(body, type=Finding))
            except msgspec.DecodeError as error:
                log.warning("a finding in the spool is not one that this version knows: %s", error)

    def update(self, finding: Finding) -> tuple[str, bytes]:
        """Take a new finding into account; returns the topic and the payload to publish there, retained."""
        topic = feed.state(self._probe, finding.measurement, finding.target.input)
        state = feed.State(
            id=finding.id,
            measurement=finding.measurement,
            target=finding.target,
            line=finding.line,
            verdict=finding.verdict,
            interference=finding.interference,
            confidence=finding.confidence,
            at=finding.started_at,
        )
        self._states[topic] = body = msgspec.json.encode(state)
        self._states.move_to_end(topic)
        if len(self._states) > MOST:
            self._states.popitem(last=False)
        return topic, body

    def all(self) -> list[tuple[str, bytes]]:
        """Every state, the one that changed longest ago first."""
        return list(self._states.items())
