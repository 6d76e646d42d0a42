"""Signs of life: what a heartbeat must be to be believed, and what the silence of an hour was. Pure.

An hour is kept as four sets of its twelfths, so that storing is idempotent and knows no order: a heartbeat that comes
twice, or days late, changes nothing but what it proves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from probe.collector import instants
from probe.collector.signatures import Claim
from probe.collector.verdicts import NewHeartbeat, Rejected
from probe.model import canonical
from probe.model.errors import MalformedRecord
from probe.model.finding import Uuid
from probe.model.heartbeat import Heartbeat

MAX_HEARTBEAT = 4096
TWELFTH = 5 * instants.MINUTE
PROMPT = 10 * instants.MINUTE
"""Later than this after its making, a heartbeat of a probe that was not connected says that it was cut off."""

_HEARTBEAT = msgspec.json.Decoder(Heartbeat)


class Drafted(msgspec.Struct, frozen=True):
    """What becomes of a heartbeat if its signature, ``claim``, is true; the heartbeat itself if it was understood."""

    judgement: NewHeartbeat | Rejected
    heartbeat: Heartbeat | None = None
    claim: Claim | None = None


class _Claimed(msgspec.Struct):
    id: Uuid
    probe: str


class Life(msgspec.Struct, frozen=True):
    """A probe in one hour: the twelfths, as bits, in which a heartbeat was made (``alive``), in which one was made by a
    probe that was in touch (``prompt``: it came in time, or says that it was connected to the broker), in which
    anything was measured (``busy``), and in which there was a link (``linked``)."""

    alive: int = 0
    prompt: int = 0
    busy: int = 0
    linked: int = 0


class Silence(msgspec.Struct, frozen=True):
    """Whole hours without any result (ms), by what the heartbeats of those who measured there before or after prove.

    ``idle``: hours in which one of them lived, was in touch, and nothing came of measuring (or nothing was measured);
    ``cut_off``: in which one lived, but its heartbeats came late; ``dead``: in which none gave a sign of life.
    """

    since: int
    until: int
    idle: int
    cut_off: int
    dead: int


def draft(probe: str, payload: bytes, received_at: int) -> Drafted:
    """The first step of judging one, as in `ingest`: everything but the signature and the keyring. Nothing raises."""
    if len(payload) > MAX_HEARTBEAT:
        return Drafted(Rejected("too_large", f"{len(payload)} bytes, allowed are {MAX_HEARTBEAT}", probe))
    try:
        text, _ = canonical.signed_text(payload)
    except (ValueError, RecursionError) as error:
        return Drafted(Rejected("bad_json", str(error)[:500], probe))
    except (TypeError, MalformedRecord) as error:
        return Drafted(Rejected("bad_schema", str(error)[:500], probe))
    try:
        one = _HEARTBEAT.decode(payload)
        said = instants.from_text(one.at)
    except ValueError as error:
        return Drafted(Rejected("bad_schema", str(error)[:500], probe, _claimed_id(probe, payload)))
    if one.probe != probe:
        return Drafted(Rejected("wrong_probe", f"topic of {probe}, heartbeat of {one.probe}", probe))
    if one.signature is None:
        return Drafted(Rejected("unsigned", "a heartbeat proves nothing without a signature", probe, one.id))
    at, absurd = instants.believed(said, said, received_at, synchronised=one.clock == "synchronised")
    judgement = Rejected("bad_clock", absurd, probe, one.id) if absurd else NewHeartbeat(one, payload, at)
    return Drafted(judgement, one, Claim(text, one.signature.key, one.signature.value))


def life(one: Heartbeat, at: int, received_at: int) -> tuple[int, Life]:
    """(beginning of its hour, what it proves there). ``at``: when it was made, ms."""
    hour = at // instants.HOUR * instants.HOUR
    bit = 1 << (at - hour) // TWELFTH
    # It was in touch as well if it says so and comes late all the same: then it was the collector that was away.
    in_touch = received_at - at <= PROMPT or one.connected
    return hour, Life(
        bit, bit if in_touch else 0, bit if one.measured else 0, bit if one.link == "up" else 0
    )


def silences(intervals: Iterable[tuple[int, int]], lives: Mapping[int, Iterable[Life]]) -> tuple[Silence, ...]:
    """What was proven of intervals without results. ``lives``: hour → those of the probes that are asked, there."""
    found = []
    for since, until in intervals:
        first = -(-since // instants.HOUR) * instants.HOUR
        kinds = [_kind(lives.get(hour, ())) for hour in range(first, until - instants.HOUR + 1, instants.HOUR)]
        found.append(Silence(since, until, kinds.count("idle"), kinds.count("cut_off"), kinds.count("dead")))
    return tuple(found)


def _kind(lives: Iterable[Life]) -> str:
    some = list(lives)
    if any(one.prompt for one in some):
        return "idle"
    return "cut_off" if any(one.alive for one in some) else "dead"


def _claimed_id(probe: str, payload: bytes) -> str:
    """The id of one that is otherwise not understood, so that its probe can be told; empty if there is none."""
    try:
        claim = msgspec.json.decode(payload, type=_Claimed)
    except msgspec.ValidationError:
        return ""
    return claim.id if claim.probe == probe else ""


__all__ = ["Life", "Silence", "draft", "life", "silences"]
