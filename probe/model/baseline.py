"""What is usual on a line: how far an address is, how fast it answers, how much is lost; learnt from earlier runs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from probe.model.finding import Ttl

_OFTEN = 0.1  # share of the answers that a TTL must have to count as usual


class Usual(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one address. All zero: nothing.

    ``asked`` and ``answered``: handshakes and other harmless exchanges at full TTL, of kinds that it answers at all.
    ``ttls``: IP TTL on arrival → answers.
    ``zero_idents``: answers whose IP identification was 0. Round trips in seconds: the ``least``, and the mean and mean
    deviation by the rules of RFC 6298 (``typical``, ``deviation``). ``at``: last learnt, seconds since the epoch.
    """

    asked: Annotated[int, msgspec.Meta(ge=0)] = 0
    answered: Annotated[int, msgspec.Meta(ge=0)] = 0
    ttls: dict[Ttl, Annotated[int, msgspec.Meta(ge=0)]] = {}
    zero_idents: Annotated[int, msgspec.Meta(ge=0)] = 0
    least: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    typical: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    deviation: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    at: int = 0

    @property
    def patience(self) -> float:
        """Seconds after which an answer is overdue: mean and four deviations (RFC 6298, section 2); 0 if unknown."""
        return self.typical + 4 * self.deviation

    @property
    def usual_ttls(self) -> list[int]:
        """IP TTLs on arrival that come often: several where ways of different length, or several machines, answer."""
        return sorted(ttl for ttl, count in self.ttls.items() if count >= _OFTEN * self.answered)

    def fastest(self, seconds: float) -> float:
        """The least of a round trip just measured and those known."""
        return min(seconds, self.least or seconds)


class Baseline(msgspec.Struct, frozen=True):
    """What is usual, by address. A measurement may ask for addresses that it sends to: the exchange log keeps those."""

    hosts: dict[str, Usual] = {}

    def of(self, address: str) -> Usual:
        """What is known of an address; nothing, where it was never measured."""
        return self.hosts.get(address, Usual())
