"""How far packets get: those towards an address that is silent, and those towards references that answer, side by side.

Everything is asked of both in turn, on the same flows and at the same TTLs, so that loss, limits on ICMP errors and
balanced paths befall both alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from probe.measurements import Part
from probe.measurements._locate import AGREE
from probe.measurements._proof import MARGIN, RARE, by_chance
from probe.measurements._reach import Probe, Sight, read, step
from probe.model.exchange import FULL_TTL, PauseStep, Step

FLOWS = 16
"""Source ports, for each kind of probe, on which an address must be silent: one broken path of several is not that."""
_SWEEPS = ((0,), (1, 2, 3))  # the first shows how far it is
_NEAR = (0, 1, 2, 3)  # TTLs looked at more closely, from the last router that answers
_ROUNDS = 3  # of a closer look, at the most, with a pause between: routers limit how many errors they send
_EACH = 6  # probes of a closer look, for each TTL
_PAUSE = 1.0
_FARTHEST = 30


class Aim(msgspec.Struct, frozen=True):
    """An address and the kinds of probes that are sent there, in turn."""

    address: str
    probes: tuple[Probe, ...]

    def probe(self, number: int) -> Probe:
        """The kind of the ``number``-th probe."""
        return self.probes[number % len(self.probes)]

    def each(self, number: int) -> list[Probe]:
        """One probe of each kind; of TCP, the ports take turns."""
        kinds: dict[str, list[Probe]] = {}
        for probe in self.probes:
            kinds.setdefault(probe.kind, []).append(probe)
        return [probes[number % len(probes)] for probes in kinds.values()]


class Ways:
    """All that was seen of the ways to some aims."""

    def __init__(self) -> None:
        self._sights: dict[Aim, list[Sight]] = {}

    def add(self, aim: Aim, sight: Sight) -> None:
        """One more probe's."""
        self._sights.setdefault(aim, []).append(sight)

    def full(self, aim: Aim) -> list[Sight]:
        """Probes that were meant to arrive."""
        return [s for s in self._sights.get(aim, ()) if s.ttl == FULL_TTL]

    def short(self, aim: Aim) -> list[Sight]:
        """Probes of the sweeps."""
        return [s for s in self._sights.get(aim, ()) if s.ttl != FULL_TTL]

    def routers(self, aims: Iterable[Aim]) -> dict[int, Counter[str]]:
        """TTL → the routers that let probes die there, and how often."""
        found: dict[int, Counter[str]] = {}
        for sight in (s for aim in aims for s in self.short(aim)):
            if sight.router:
                found.setdefault(sight.ttl, Counter())[sight.router] += 1
        return found

    def last(self, aim: Aim) -> int:
        """Highest TTL at which a router showed itself; 0: none did."""
        return max((s.ttl for s in self.short(aim) if s.router), default=0)

    def arrives(self, aim: Aim) -> int | None:
        """Lowest TTL at which the address itself answered."""
        return min((s.ttl for s in self.short(aim) if s.answer), default=None)

    def refusals(self, aim: Aim) -> list[Sight]:
        """Probes that a router refused."""
        return [s for s in self._sights.get(aim, ()) if s.refused is not None]

    def vanishes(self, aim: Aim, others: Sequence[Aim], ttl: int) -> bool:
        """Whether at a TTL the probes of ``aim`` show nobody, beyond what chance explains, where the others' do."""
        mine = [bool(s.answer or s.router) for s in self.short(aim) if s.ttl == ttl]
        theirs = [not s.dead for other in others for s in self.short(other) if s.ttl == ttl]
        if any(mine) or not mine or not theirs:
            return False
        return by_chance(sum(theirs), len(theirs), 0, len(mine)) < RARE


def common(ways: Ways, references: Sequence[Aim]) -> int:
    """How many hops all ways to the references have in common: the highest TTL at which one router serves them all.

    Beyond it each goes its own way. 0 where there are not two of them.
    """
    seen = [ways.routers([reference]) for reference in references]
    if len(seen) < 2:
        return 0
    shared = {
        ttl: routers for ttl in seen[0] if all(ttl in one for one in seen)
        and (routers := set.intersection(*(set(one[ttl]) for one in seen)))
    }  # fmt: skip
    if not shared:
        return 0
    # Flows take ways of different length: the last router counts as near as it was ever seen.
    return min(ttl for one in seen for ttl, routers in one.items() if shared[max(shared)] & set(routers))


def common_end(ways: Ways, references: Sequence[Aim]) -> int:
    """How far a subject's way is known: as far as all references share theirs; or, where its one reference is another
    port of the same address, all the way."""
    return common(ways, references) if len(references) > 1 else ways.arrives(references[0]) or 0


def survey(
    subjects: Sequence[Aim], references: Sequence[Aim], reach: int, wait: float, peers: Sequence[Aim] = ()
) -> Part[Ways]:
    """Send to all, full TTL first, then sweeps, then closer looks at where the subjects' probes die.

    ``reach``: routers to the farthest reference, about. ``peers``: other addresses that are asked as often as they.
    """
    ways = Ways()
    aims = [*subjects, *references, *peers]
    arriving = [(aim, probe, f"full{i}", FULL_TTL) for i in range(FLOWS) for aim in aims for probe in aim.each(i)]
    yield from _volley(ways, arriving, wait)
    top = min(_FARTHEST, reach + 3)
    for sweeps in _SWEEPS:
        yield from _volley(ways, [
            (aim, aim.probe(i), f"way{i}", ttl) for i in sweeps for ttl in range(1, top + 1) for aim in aims
        ], wait)  # fmt: skip
        # Behind the farthest that answers there is nobody.
        top = max(max(ways.last(aim), ways.arrives(aim) or 0) for aim in aims) + 2
    if len(references) == 1:
        yield from _shortest(ways, references[0], wait)
    for number in range(2 * _ROUNDS):
        # A router that refuses, as seldom as its limit lets it, is asked for longer.
        open_ = subjects if number < _ROUNDS else [s for s in subjects if ways.refusals(s)]
        looks = [(s, ttl) for s in open_ for ttl in _open_ttls(ways, s, references)]
        if not looks:
            break
        if number:
            yield [PauseStep(seconds=_PAUSE)]
        shots = []
        for i in range(_EACH):
            flow = f"near{number}.{i}"
            for ttl in sorted({ttl for _, ttl in looks}):
                shots += [(s, s.probe(i), flow, ttl) for s, at in looks if at == ttl]
                shots += [(r, r.probe(i), flow, ttl) for r in (*references, *peers)]
        yield from _volley(ways, shots, wait)
    return ways


def _shortest(ways: Ways, aim: Aim, wait: float) -> Part[None]:
    """See whether some flows reach an address sooner than those so far."""
    for number in range(_ROUNDS):
        arrives = ways.arrives(aim)
        if arrives is None or arrives < 2:
            return
        shots = [(aim, aim.probe(i), f"short{number}.{i}", arrives - 1) for i in range(FLOWS)]
        yield from _volley(ways, shots, wait)
        if ways.arrives(aim) == arrives:
            return


def _open_ttls(ways: Ways, subject: Aim, references: Sequence[Aim]) -> list[int]:
    """TTLs at which it is not yet decided whether the subject's probes vanish."""
    refusals = len(ways.refusals(subject))
    if any(s.answer for s in ways.full(subject)) or refusals >= AGREE:
        return []  # it is reached, or somebody says often enough that it is not
    if ways.last(subject) + 1 + MARGIN > common_end(ways, references):
        return []  # too near to its own network for anything to be claimed
    near = [ways.last(subject) + by for by in _NEAR]
    wanted = [ttl for ttl in near if ttl > 0]
    return [] if not refusals and ways.vanishes(subject, references, near[1]) else wanted


def _volley(ways: Ways, shots: list[tuple[Aim, Probe, str, int]], wait: float) -> Part[None]:
    batch: list[Step] = [step(probe, aim.address, flow, ttl, wait) for aim, probe, flow, ttl in shots]
    for (aim, probe, _, _), exchange in zip(shots, (yield batch), strict=True):
        ways.add(aim, read(probe, exchange))
