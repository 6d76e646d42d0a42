"""Where a name begins to slow a connection down: decoys that bear it and die on the way (Xue et al., 2021).

A connection begins with a packet that bears the name and expires after so many routers, in the place of the bytes that
follow. Who slows it down then has seen the decoy: it sits before the router where that expired. The far end never sees
it, and a home router that looks at what it forwards has not seen one that expires on itself.
"""

from __future__ import annotations

from probe.measurements import Context, Part
from probe.measurements._locate import AGREE, Place, Shot, place, routers
from probe.measurements._proof import MARGIN, acts_at_home
from probe.measurements._throttle.ask import Asking
from probe.measurements._throttle.verdict import Compared, Located
from probe.measurements._trace import trace
from probe.model.reflector import Direction

_FARTHEST = 30
_MOST = 5  # decoys at one TTL, of which AGREE must say the same


class _Sweep:
    """Decoys of one direction. ``shots``: what each elicited."""

    def __init__(self, asking: Asking, direction: Direction, cut: float) -> None:
        self._asking, self._direction, self._cut = asking, direction, cut
        self.shots: list[Shot] = []

    def slow(self, ttl: int, agree: int) -> Part[bool | None]:
        """Whether decoys at a TTL slow it down: what ``agree`` of at most five say; None where they don't."""
        while True:
            here = [shot.elicited for shot in self.shots if shot.ttl == ttl]
            for answer in (True, False):
                if here.count(answer) >= agree:
                    return answer
            if len(here) >= _MOST:
                return None
            found = yield from self._asking.move("decoy", self._direction, ttl)
            if found.speed is not None:
                self.shots.append(Shot(ttl, found.speed < self._cut, None, found.expired_at))
            elif sum(one.ttl == ttl for one in self._asking.of("decoy", self._direction)) >= 2 * _MOST:
                return None


def locate(asking: Asking, compared: Compared, address: str, port: int, context: Context) -> Part[Located]:
    """The link behind which decoys act, by halving; both its ends are tried until three agree."""
    hops = yield from trace(address, port, "tcp", context, 2, _FARTHEST)
    arrives = next((one.ttl for one in hops if one.arrived), None)
    if arrives is None or arrives <= MARGIN + 1:
        return Located(arrives=arrives)
    known = {one.ttl: max(one.routers, key=lambda a: one.routers[a]) for one in hops if one.routers and not one.arrived}
    sweep = _Sweep(asking, compared.direction, compared.cut)
    low, high = 0, arrives - MARGIN
    context.progress(f"finding out where: decoys that die before hop {arrives}")
    if (yield from sweep.slow(high, AGREE)) is not True:
        return Located(arrives=arrives)
    while high - low > 1:
        middle = (low + high) // 2 or 1
        answer = yield from sweep.slow(middle, 2)
        if answer is None:
            return Located(arrives=arrives)
        low, high = (low, middle) if answer else (middle, high)
    for ttl, expected in ((low, False), (high, True)):
        if ttl and (yield from sweep.slow(ttl, AGREE)) is not expected:
            return Located(arrives=arrives)
    # What two of three said at other TTLs may have been chance: only the two ends count.
    shots = [shot for shot in sweep.shots if (shot.ttl, shot.elicited) in ((low, False), (high, True))]
    found: Place | None = place(shots, known, arrives=arrives)
    if found is not None:
        found = Place(low, high, found.clean_hop, found.first_hop, "in_path", found.agreeing, found.sweeps)
    seen = {ttl: max(counts, key=lambda a: counts[a]) for ttl, counts in routers(sweep.shots).items()}
    home = acts_at_home(shots, found, {**known, **seen}, dropping=True)
    return Located(place=found, arrives=arrives, home=home, ahead=high + MARGIN <= arrives)
