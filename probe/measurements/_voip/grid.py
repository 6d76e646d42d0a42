"""The 2×2 of a protocol of calls: {well-known port, random port} × {real payload, its bit-inverted twin}, counted.

A *score* is the share of a call that got lost: 0 or 1 for a request, anything between for a stream of media.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.measurements._exact import ALPHA, permutation

Protocol = Literal["sip", "sip_tcp", "sip_tls", "stun", "turn", "rtp"]
PROTOCOLS: tuple[Protocol, ...] = ("sip", "sip_tcp", "sip_tls", "stun", "turn", "rtp")
KNOWN: dict[Protocol, int] = {
    "sip": 5060, "sip_tcp": 5060, "sip_tls": 5061, "stun": 3478, "turn": 3478, "rtp": 5004,
}  # fmt: skip
"""Well-known ports (IANA). Media has none that calls keep to; 5004 is the one that is registered."""
WORDS: dict[Protocol, str] = {
    "sip": "call set-up (SIP over UDP)", "sip_tcp": "call set-up (SIP over TCP)",
    "sip_tls": "call set-up (SIP over TLS)",
    "stun": "address discovery (STUN)", "turn": "relaying (TURN)", "rtp": "sound (RTP)",
}  # fmt: skip

Cause = Literal["payload", "payload_on_port", "port"]
RISE = 0.05
"""The least mean rise of loss that is worth a word: G.711 without concealment turns to "nearly all users dissatisfied"
at 5 % (R = 42: G.107, Annex B)."""
_BAD = 0.5
_PROMISING = 0.25  # p: 2 of 10 against none


class Why(msgspec.Struct, frozen=True):
    """What explains the failures: ``p`` by chance, before correction; ``worse`` and ``better``: (failed, made) calls of
    the two groups that were compared; ``rise``: how much more of a call the first lost in the mean."""

    cause: Cause
    p: float
    worse: tuple[int, int]
    better: tuple[int, int]
    rise: float


class Grid:
    """Scores of one protocol, by (well-known port?, twin?)."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self._scores: dict[tuple[bool, bool], list[float]] = {(k, t): [] for k in (True, False) for t in (True, False)}
        self._failed: dict[tuple[bool, bool], int] = dict.fromkeys(self._scores, 0)

    def add(self, known: bool, twin: bool, score: float, failed: bool | None = None) -> None:
        """Count one call. ``failed``: it could not be held; if not given, as soon as half of it was lost."""
        self._scores[known, twin].append(score)
        self._failed[known, twin] += score >= _BAD if failed is None else failed

    def scores(self, known: bool | None = None, twin: bool | None = None) -> list[float]:
        """Scores of the cells that fit; None fits both."""
        return [s for (k, t), all_ in self._scores.items() if known in (None, k) and twin in (None, t) for s in all_]

    def failed(self, known: bool | None = None, twin: bool | None = None) -> tuple[int, int]:
        """(calls that could not be held, calls made) of those cells."""
        cells = [(k, t) for k, t in self._scores if known in (None, k) and twin in (None, t)]
        return sum(self._failed[cell] for cell in cells), sum(len(self._scores[cell]) for cell in cells)

    @property
    def made(self) -> int:
        """Calls of the cell with the fewest."""
        return min(len(scores) for scores in self._scores.values())

    @property
    def dead(self) -> bool:
        """Whether no call of any cell came through."""
        failed, made = self.failed()
        return made > 0 and failed == made

    def promising(self) -> bool:
        """Whether cells differ by so much that more calls may well explain it."""
        return bool(self.explain(1, _PROMISING))

    def explain(self, questions: int, alpha: float = ALPHA) -> list[Why]:
        """What explains the failures beyond chance, the surest first; ``questions``: how many the whole run asks, which
        share ``alpha``."""
        limit = alpha / questions
        port = self._compare("port", (True, True), (False, True))
        anywhere = self._compare("payload", (False, False), (False, True))
        on_port = self._compare("payload_on_port", (True, False), (True, True))
        both = self._compare("payload", (None, False), (None, True))
        # Where twins fail on the well-known port too, it says nothing of payloads.
        found = [why for why in (port, anywhere) if _holds(why, limit)]
        if not _holds(anywhere, limit):
            # The surer of the two: what fails on every port is less clear on one, and the other way round.
            found += sorted((why for why in (on_port, both) if _holds(why, limit)), key=lambda why: why.p)[:1]
        return sorted(found, key=lambda why: why.p)

    def _compare(self, cause: Cause, worse: tuple[bool | None, bool], better: tuple[bool | None, bool]) -> Why:
        ours, theirs = self.scores(*worse), self.scores(*better)
        return Why(
            cause,
            permutation(ours, theirs),
            self.failed(*worse),
            self.failed(*better),
            _mean(ours) - _mean(theirs),
        )

    def show(self) -> dict[str, dict[str, object]]:
        """For a finding's details."""
        return {
            f"{'well_known' if known else 'random'}_{'twin' if twin else 'real'}": {
                "made": len(scores),
                "failed": self.failed(known, twin)[0],
                "loss": round(_mean(scores), 4),
            }
            for (known, twin), scores in self._scores.items()
        }


def _holds(why: Why, limit: float) -> bool:
    return why.p < limit and why.rise >= RISE


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
