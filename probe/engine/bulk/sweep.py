"""Sweeps: the routers on the ways to thousands of addresses; and which of their ports are open, closed or silent."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import msgspec

from probe.engine.budget import Row
from probe.engine.bulk.frames import Kind
from probe.engine.bulk.line import End, Line
from probe.engine.bulk.volley import Answer, Probes, Volley
from probe.engine.interfaces import Way
from probe.model.errors import UsageError

FULL_TTL = 64
MOST_HOPS = 64
_ATTEMPTS = 3
_PATIENCE = (0.2, 1.0)  # seconds, at least and at most, that are waited before what is silent is asked again


class Found(msgspec.Struct):
    """What a job found: ``answers[i]``: TTL → what came back from the ``i``-th far end's probe. ``errors``: far ends
    that this machine could not send to, with the kernel's number of the error. ``lost``: packets that the capture had
    no room for; ``copies``: answers that came more than once."""

    answers: list[dict[int, Answer]]
    errors: dict[int, int]
    packets: int = 0
    copies: int = 0
    lost: int = 0


Job = Generator[float, None, Found]


def sweep(
    line: Line, addresses: Sequence[str], *, hops: int, port: int = 80, kind: Kind = "tcp", attempts: int = _ATTEMPTS
) -> Job:
    """Probes at every TTL up to ``hops`` to every address; what stays silent is asked again. Yields seconds to wait.

    Neighbours in the list are asked at neighbouring TTLs, so that no router is asked by all at once. Beyond the TTL at
    which a far end answers nothing more is sent. Raises UsageError, ForbiddenDestination, NoRoute and NoPermission
    before anything is sent; BudgetExhausted and CannotMeasure.
    """
    if not 1 <= hops <= MOST_HOPS:
        raise UsageError(f"{hops} hops: a number from 1 to {MOST_HOPS}")
    ends = [(address, port if kind == "tcp" else 0) for address in addresses]
    return (yield from _job(line, ends, kind, range(1, hops + 1), attempts))


def ports(line: Line, addresses: Sequence[str], numbers: Sequence[int], *, attempts: int = _ATTEMPTS) -> Job:
    """A SYN to every port of every address; ``answers`` come by address, then by port. As :func:`sweep` else."""
    ends = [(address, number) for address in addresses for number in numbers]
    return (yield from _job(line, ends, "tcp", (FULL_TTL,), attempts))


def _job(line: Line, ends: Sequence[End], kind: Kind, ttls: Sequence[int], attempts: int) -> Job:
    if len(set(ends)) < len(ends):
        raise UsageError("an address is there twice")
    addresses = [address for address, _ in ends]
    held = yield from line.gate.admit_many(addresses)
    ways = yield from line.ways(addresses)
    found = Found([{} for _ in ends], {})
    for way, places in ways.items():
        yield from _over(line, way, kind, ends, places, held, ttls, attempts, found)
    return found


def _over(
    line: Line, way: Way, kind: Kind, ends: Sequence[End], places: Sequence[int], held: Row, ttls: Sequence[int],
    attempts: int, found: Found,
) -> Generator[float, None, None]:  # fmt: skip
    with contextlib.ExitStack() as stack:
        volley = yield from line.volley(stack, way, kind, [ends[i] for i in places], held, max(ttls))
        for attempt in range(attempts):
            asked = 0
            for probes in _rounds(volley, len(places), ttls, again=attempt > 0):
                asked += len(probes)
                yield from volley.fire(probes, attempt)
            if not asked:
                break
            yield from volley.listen(min(_PATIENCE[1], max(_PATIENCE[0], 4 * volley.slowest / 1e9)))
        found.packets += volley.packets
        found.copies += volley.copies
        found.lost += volley.lost()
        for i, answers in zip(places, volley.answers, strict=True):
            found.answers[i] = answers
        found.errors |= {places[end]: number for end, number in volley.errors.items()}


def _rounds(volley: Volley, count: int, ttls: Sequence[int], *, again: bool) -> Generator[Probes, None, None]:
    """Rounds in which each far end is asked at most once: all TTLs in all, ``again``: those that got no answer. Nothing
    is sent beyond where a far end is known to be."""
    for number in range(len(ttls)):
        turned = [*ttls[number:], *ttls[:number]] * (count // len(ttls) + 1)
        reach = enumerate(zip(turned, volley.reach, strict=False))
        probes = [(end, ttl) for end, (ttl, far) in reach if ttl <= far]
        yield [(end, ttl) for end, ttl in probes if ttl not in volley.answers[end]] if again else probes
