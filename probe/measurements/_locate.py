"""Where on the path somebody acts: TTL sweeps (Tracebox, CenTrace; `docs/measurements/ttl_path.md`).

A *shot* is one trigger sent at a TTL. The interferer lies on the link between the highest TTL whose trigger stays clean
and the lowest whose trigger elicits something. Loss can only push that estimate away from the probe, never towards it,
so the lowest TTL that was seen counts, once it has come out three times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from probe.measurements import Part
from probe.measurements._judge import hop
from probe.model.exchange import FULL_TTL, Exchange, Step
from probe.model.finding import Location, Placement
from probe.model.packet import Icmp, Packet

AGREE = 3  # sweeps that must give the same answer
PAIRS = 3  # triggers and twins of each round that rules out chance
_MOST = 8  # sweeps at the most
_UNSEEN = 0.01  # how seldom an actor may be overlooked at a TTL that is called clean
_APART = 6  # TTLs: no two ways between the same ends differ so much in length
TRIAL_TTLS = (FULL_TTL, FULL_TTL - 7, FULL_TTL - 14)
"""TTLs of trials that are meant to arrive: they differ by so much that a box that copies them shows."""
SHORT_BY = (1, 2, 4)
"""How far probes beside the trials fall short of the target, if the way there is as long as the way back, or longer."""


class Shot(msgspec.Struct, frozen=True):
    """One trigger at ``ttl``.

    ``elicited``: somebody acted on it. ``reply_ttl``: TTL on arrival of what it elicited. ``expired_at``: the router
    whose ICMP time exceeded quotes the trigger itself. ``routers``: TTL → router of the same flow, by harmless probes.
    """

    ttl: int
    elicited: bool
    reply_ttl: int | None = None
    expired_at: str | None = None
    routers: dict[int, str] = {}


class Place(msgspec.Struct, frozen=True):
    """Where it happens. ``agreeing`` of ``sweeps`` tries gave this answer. ``copied``: the box copies the TTL of what
    it answers, and the place was computed from that (:func:`copies_ttl`) instead."""

    clean_ttl: int
    first_ttl: int
    clean_hop: str | None
    first_hop: str | None
    placement: Placement
    agreeing: int
    sweeps: int
    copied: int | None = None

    @property
    def mirrored(self) -> bool:
        """Whether the place was computed from copied TTLs."""
        return self.copied is not None

    def location(self) -> Location:
        """As a finding shows it."""
        return Location(
            clean_ttl=self.clean_ttl,
            first_ttl=self.first_ttl,
            clean_hop=hop(self.clean_hop),
            first_hop=hop(self.first_hop),
            attribution=f"on the link between {self._end(self.clean_ttl, self.clean_hop)} and "
            f"{self._end(self.first_ttl, self.first_hop)}",
        )

    @staticmethod
    def _end(ttl: int, address: str | None) -> str:
        if ttl == 0:
            return "the probe"
        shown = hop(address).address
        if shown:
            return f"hop {ttl} ({shown})"
        return f"hop {ttl} (inside the home)" if address else f"hop {ttl} (which does not answer)"


def sweep(
    ttls: Iterable[int],
    make: Callable[[int, int], list[Step]],
    read: Callable[[int, list[Exchange]], Shot],
    between: Callable[[int], Part[bool]] | None = None,
) -> Part[list[Shot]]:
    """Shoot at each of ``ttls``, again near the lowest that elicits, until one answer has come three times.

    ``make(ttl, number)`` gives the steps of the ``number``-th shot at ``ttl``, ``read`` makes their exchanges a shot.
    ``between(number)`` runs before every sweep but the first and says whether to go on.
    """
    shots: list[Shot] = []
    answers: Counter[int | None] = Counter()
    wanted = list(ttls)
    for number in range(_MOST):
        if number and between is not None and not (yield from between(number)):
            break
        fresh = yield from _volley(wanted, number, make, read)
        shots += fresh
        lowest = min((s.ttl for s in fresh if s.elicited), default=None)
        answers[lowest] += 1
        if answers[lowest] >= AGREE or (lowest is None and number == 0):
            break
        # Where the first sweep lost something, the truth lies nearer: look there, and only there.
        near = min((s.ttl for s in shots if s.elicited), default=max(wanted))
        wanted = [t for t in range(near - 2, near + 2) if t >= 1]
    return shots


def again(first: int, arrives: int, *, lucky: bool) -> list[int]:
    """TTLs to shoot at once more, so that chance is ruled out: where it happens and, where somebody in the home may
    have spared early ones by luck (``_proof.spared_by_luck``), before and behind that too."""
    if not lucky:
        return [first] * PAIRS
    early = [first - 1 - i % min(first - 1, PAIRS) for i in range(2 * PAIRS)] if first > 1 else []
    return [*early, *[first] * PAIRS, *[min(first + 1, arrives - 1)] * PAIRS]


def _volley(
    wanted: list[int], number: int, make: Callable[[int, int], list[Step]], read: Callable[[int, list[Exchange]], Shot]
) -> Part[list[Shot]]:
    batches = [(ttl, make(ttl, number)) for ttl in wanted]
    exchanges = yield [step for _, steps in batches for step in steps]
    shots: list[Shot] = []
    at = 0
    for ttl, steps in batches:
        shots.append(read(ttl, exchanges[at : at + len(steps)]))
        at += len(steps)
    return shots


def expired(exchange: Exchange) -> list[tuple[str, Packet]]:
    """(router, quoted packet) of every ICMP time exceeded (RFC 792 type 11, RFC 4443 type 3)."""
    found: list[tuple[str, Packet]] = []
    for heard in exchange.errors:
        header = heard.packet.header
        exceeded = 3 if heard.packet.version == 6 else 11
        if isinstance(header, Icmp) and header.quoted is not None and header.type == exceeded:
            found.append((heard.packet.source, header.quoted))
    return found


def expired_at(exchange: Exchange) -> str | None:
    """The router whose ICMP time exceeded quotes the exchange's probe."""
    return next((router for router, _ in expired(exchange)), None)


def routers(shots: Iterable[Shot]) -> dict[int, Counter[str]]:
    """TTL → the routers that answered there, and how often."""
    found: dict[int, Counter[str]] = {}
    for shot in shots:
        seen = dict(shot.routers)
        if shot.expired_at is not None:
            seen.setdefault(shot.ttl, shot.expired_at)
        for ttl, address in seen.items():
            found.setdefault(ttl, Counter())[address] += 1
    return found


def place(
    shots: list[Shot], known: Mapping[int, str], *, full: Iterable[Shot] = (), arrives: int | None = None
) -> Place | None:
    """The place of what acts on a trigger; None where no shot elicited anything.

    ``known``: TTL → router from a control sweep. ``full``: shots at TTLs that reach the server (they tell a box that
    copies TTLs). ``arrives``: lowest TTL that reaches the server.
    """
    lowest = min((s.ttl for s in shots if s.elicited), default=None)
    copied = copies_ttl([*shots, *full])
    if copied is not None:
        first = copied // 2 + 1
        clean = first - 1
        agreeing = sum(s.elicited for s in [*shots, *full])
        return _named(shots, known, clean, first, agreeing, agreeing, copied=copied, arrives=arrives)
    if lowest is None:
        return None
    tried = sum(s.ttl == lowest for s in shots)
    hit = sum(s.ttl == lowest and s.elicited for s in shots)
    clean = min(_surely_clean(shots, lowest, arrives), _below_its_own_answer(shots, lowest, arrives))
    return _named(shots, known, clean, lowest, hit, tried, arrives=arrives)


def _below_its_own_answer(shots: list[Shot], lowest: int, arrives: int | None) -> int:
    """Highest TTL at which silence proves something. Where answers to the lowest triggers arrive with their last hop
    left and nothing speaks against their TTL being copied, those to lower triggers die on the way back: then the box
    may stand half-way already (see :func:`copies_ttl`), which more shots would have told."""
    short = [s for s in shots if s.elicited and s.reply_ttl is not None and (arrives is None or s.ttl < arrives)]
    if any(s.reply_ttl != s.ttl - lowest + 1 for s in short) or not any(s.ttl == lowest for s in short):
        return lowest - 1
    return (lowest - 1) // 2


def _surely_clean(shots: list[Shot], lowest: int, arrives: int | None) -> int:
    """Highest TTL below ``lowest`` at which the actor would have been seen: who acts on a share of the triggers only
    (or whose answers get lost) may have let those right before ``lowest`` pass, so that the link is that much wider."""
    behind = [s.elicited for s in shots if s.ttl >= lowest and (arrives is None or s.ttl < arrives)]
    missed = 1 - sum(behind) / len(behind) if behind else 0.0
    unseen = 1.0
    for ttl in sorted({s.ttl for s in shots if s.ttl < lowest}, reverse=True):
        unseen *= missed ** sum(s.ttl == ttl for s in shots)
        if unseen < _UNSEEN:
            return ttl
    return 0


def place_drop(shots: list[Shot], twins: list[Shot], known: Mapping[int, str], *, arrives: int | None) -> Place | None:
    """The place of what makes triggers vanish: behind the last router that quotes one, before the first that quotes
    harmless twins but never one. None where no such router is known.

    Loss and rate limits hide quotes now and then, never invent them: all sweeps count together.
    """
    clean = max((s.ttl for s in shots if s.expired_at is not None), default=0)
    behind = {
        t.ttl for t in twins if t.expired_at is not None and t.ttl > clean and (arrives is None or t.ttl < arrives)
    }
    if not behind:
        return None
    missing = sum(s.ttl in behind for s in shots)
    return _named([*shots, *twins], known, clean, min(behind), missing, missing, arrives=arrives, dropping=True)


def _named(
    shots: list[Shot], known: Mapping[int, str], clean: int, first: int, agreeing: int, sweeps: int,
    *, copied: int | None = None, arrives: int | None, dropping: bool = False,
) -> Place:  # fmt: skip
    # Both ends from one flow if there is one: with equal-cost paths, two flows show two different links.
    pairs = Counter(
        (s.routers.get(clean), s.routers.get(first))
        for s in shots
        if (s.elicited or dropping) and (s.routers.get(first) or s.routers.get(clean))
    )
    nothing: tuple[str | None, str | None] = (None, None)
    best = max(pairs, key=lambda pair: (pair[0] is not None) + (pair[1] is not None), default=nothing)
    seen = routers(shots)

    def name(ttl: int, own: str | None) -> str | None:
        if own is not None:
            return own
        if ttl in seen:
            return seen[ttl].most_common(1)[0][0]
        return known.get(ttl)

    return Place(
        clean_ttl=clean,
        first_ttl=first,
        clean_hop=name(clean, best[0]) if clean else None,
        first_hop=name(first, best[1]),
        placement="in_path" if dropping else placement(shots, known, first, arrives),
        agreeing=agreeing,
        sweeps=sweeps,
        copied=copied,
    )


def placement(shots: Iterable[Shot], known: Mapping[int, str], first: int, arrives: int | None) -> Placement:
    """On the path if triggers that were answered went on (a router behind quotes them), in it if none did although the
    routers there answer harmless probes; unknown where too few say so."""
    on = missing = 0
    for shot in shots:
        if not shot.elicited or shot.ttl < first or (arrives is not None and shot.ttl >= arrives):
            continue
        if shot.expired_at is not None:
            on += 1
        elif shot.ttl in shot.routers or shot.ttl in known:
            missing += 1
    if on:
        return "on_path"
    return "in_path" if missing >= 2 else "unknown"


def copies_ttl(shots: Iterable[Shot]) -> int | None:
    """The constant (TTL sent − TTL received) of a box that copies the trigger's TTL into its reply, else None.

    Real hosts send with a TTL of their own: the reply's TTL must follow the trigger's over three shots, whose TTLs
    differ by more than the lengths of two ways (flows are spread over several) do.
    """
    pairs = [(s.ttl, s.reply_ttl) for s in shots if s.elicited and s.reply_ttl is not None]
    constants = Counter(sent - received for sent, received in pairs)
    if not constants:
        return None
    constant, count = constants.most_common(1)[0]
    spread = {sent for sent, received in pairs if sent - received == constant}
    if count >= AGREE and max(spread) - min(spread) >= _APART and count >= 0.8 * len(pairs) and constant >= 0:
        return constant
    return None
