"""Asks a host that is silent what reached it, by way of a reflector abroad (`docs/reflector.md`): the witness.

The owner of the host has a reflector on it, which sees what arrives before any firewall of its own does. Its answer
can't come back to us, but the witness may ask it.
"""

from __future__ import annotations

import msgspec

from probe.measurements import Context, Part
from probe.measurements._far import arrivals, hello
from probe.measurements._hole.verdict import Case
from probe.measurements._locate import AGREE
from probe.measurements._reach import step as make
from probe.measurements._reach import tcp
from probe.model.exchange import Step

_FLOWS = 16
_WITHIN = 10.0  # seconds that the host looks back: longer than the SYNs take
_PAUSE = 0.5  # what is under way arrives


class Testimony(msgspec.Struct, frozen=True):
    """Of ``sent`` packets ``came`` arrived, as the host says; the others did not."""

    sent: int
    came: int


def summon(
    address: str, ports: list[int], reflector: str, peer: str, wait: float, context: Context
) -> Part[Testimony | None]:
    """Send SYNs to an address, and have the witness ask the host which of them came. None where it can't tell."""
    far = yield from hello(reflector, context)
    if far is None or peer not in far.grant.peers:
        return None
    probes = [tcp(ports[i % len(ports)]) for i in range(_FLOWS)]
    batch: list[Step] = [make(p, address, f"witness{i}", wait=wait + _PAUSE) for i, p in enumerate(probes)]
    exchanges = yield batch
    sent = [next(h.packet for h in e.heard if h.outgoing) for e in exchanges if any(h.outgoing for h in e.heard)]
    arrived = yield from arrivals(far, sent, context, within=_WITHIN, peer=peer)
    if arrived is None or len(sent) < AGREE or any(count < 0 for count in arrived.counts):
        return None
    return Testimony(len(sent), sum(count > 0 for count in arrived.counts))


def weigh(case: Case, said: Testimony, peer: str) -> Case:
    """The case in the light of what the host says: what arrives there does not die on the way."""
    packets = f"{said.came} of {said.sent} packets"
    if said.came:
        reason = (
            f"{packets} to {case.aim.address} arrived, says {peer} there, and no answer came back: it is lost on its "
            "way back, or the host's own firewall drops what arrives."
        )
        return msgspec.structs.replace(
            case, verdict="inconclusive", rule="arrives-unanswered", technique=None, place=None, reason=reason
        )
    told = (
        f"A reflector abroad reached {peer} in the same seconds, which says that {packets} arrived: the host is up, "
        "and others reach its network."
    )
    return msgspec.structs.replace(case, witness=told)
