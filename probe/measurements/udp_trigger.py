"""Datagrams that vanish once they name a forbidden host (QUIC), or because they are those of a call (SIP, STUN).

Rules and what fools them: `docs/measurements/udp_trigger.md`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from probe.measurements import Context, Part, Steps
from probe.measurements._far import Far, hello, unless_spread
from probe.measurements._udp.probe import Plan, ask
from probe.measurements._udp.seen import End
from probe.measurements._udp.triggers import PORTS, Kind, Trigger
from probe.measurements._udp.verdict import judge
from probe.model.errors import UsageError
from probe.model.finding import Target

VERSION = "4"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to send, where, and what must be harmless."""

    target: Annotated[
        str, msgspec.Meta(description="Name to put into QUIC; for sip and stun, a label.", min_length=1, max_length=253)
    ]
    trigger: Annotated[Kind, msgspec.Meta(description="What to send: quic, sip or stun.")] = "quic"
    address: Annotated[str, msgspec.Meta(description="Address of a server that runs QUIC; may be empty.")] = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535, description="UDP port; 0: the usual one.")] = 0
    reflector: Annotated[str, msgspec.Meta(description="Address of our far end, which answers every trigger.")] = ""
    control_address: Annotated[str, msgspec.Meta(description="Address of a server of ours that runs QUIC.")] = ""
    control_name: Annotated[str, msgspec.Meta(description="A harmless name.")] = ""
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Trials of each kind in a round.")] = 3
    locate: Annotated[bool, msgspec.Meta(description="Sweep TTLs even where nothing looks odd.")] = False
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Twins, triggers and twins in turns, a TTL sweep where triggers vanish, twins again; then judge."""
    kind = options.trigger
    if kind == "quic" and not options.control_name:
        raise UsageError("udp-trigger needs --control-name: a harmless name to compare with")
    port = options.port or PORTS[kind]

    reflectors: list[Far] = []

    def token(end: End) -> Part[End]:
        far = yield from hello(end.address, context)
        if far is not None:
            reflectors.append(far)
        return msgspec.structs.replace(end, token=bytes.fromhex(far.grant.token) if far is not None else b"")

    ends = []
    if kind == "quic" and options.address not in ("", options.reflector):
        ends.append(End(options.address, port))
    if options.reflector:
        ends.append((yield from token(End(options.reflector, port, ours=True))))
    elif kind == "quic" and options.control_address not in ("", options.address):
        ends.append(End(options.control_address, port, ours=True))
    if not ends:
        raise UsageError("udp-trigger needs --reflector" + (" or --address" if kind == "quic" else ""))
    host = options.target if kind == "quic" else options.reflector
    context.progress(f"sending {kind.upper()} to {' and '.join(end.address for end in ends)}")
    trigger = Trigger(kind, host, port)
    seen = yield from ask(
        Plan(trigger, options.control_name, tuple(ends), options.trials, options.locate, token), context.random
    )
    name = host if kind == "quic" else ""
    judgement = judge(seen, Target(options.target, name, seen.ends[0].end.address, port, options.group))
    return (yield from unless_spread(judgement, reflectors[-1] if reflectors else None, context))
