"""Requests and certificates that are changed on the way: what was sent against what our far end got, and back.

Rules and what fools them: `docs/measurements/tampering.md` (Tracebox; Netalyzr; Weaver, Kreibich, Paxson 2014).
"""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from probe.measurements import Context, Steps, _far
from probe.measurements._locate import AGREE
from probe.measurements._tamper.ask import Asking
from probe.measurements._tamper.seen import Seen
from probe.measurements._tamper.verdict import judge
from probe.model.errors import UsageError
from probe.model.finding import Judgement, Target

VERSION = "3"

_ROUNDS = 3


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose name to ask for, at which far end."""

    target: Annotated[
        str,
        msgspec.Meta(description="Name (or URL) to ask our far end for, as if it were that site.", min_length=1,
                     max_length=1024),
    ]  # fmt: skip
    reflector: Annotated[str, msgspec.Meta(description="Address of our far end.")] = ""
    control_name: Annotated[str, msgspec.Meta(description="A harmless name.")] = ""
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Trials of each kind.")] = 3
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Twins, trials, header fields, sweeps where something came through changed, twins again; then judge."""
    if not options.reflector or not options.control_name:
        raise UsageError("tampering needs --reflector (a far end of ours) and --control-name")
    name = host(options.target, options.control_name)
    target = Target(options.target, name, options.reflector, 0, options.group)
    far = yield from _far.hello(options.reflector, context)
    if far is None:
        return Judgement(
            verdict="inconclusive", rule="tampering/no-far-end", target=target,
            reasons=[f"The far end {options.reflector} does not answer, neither over UDP nor over HTTP."],
        )  # fmt: skip
    seen = Seen(name, options.control_name, options.reflector)
    asking = Asking(seen, far, context, options.trials)
    context.progress(f"asking {options.reflector} for {options.control_name} (control)")
    yield from asking.looks("before")
    context.progress(f"asking {options.reflector} for {name}")
    for _ in range(_ROUNDS):
        yield from asking.looks("trial")
        if all(len(seen.trials(kind)) >= AGREE for kind in seen.ports):
            break
    yield from asking.toses()
    for kind in seen.changed():
        twin = seen.twin(kind, ("before",))
        if twin is not None:
            context.progress("finding out where it is changed")
            yield from asking.sweep(kind, twin)
    yield from asking.looks("after")
    yield from asking.certificate_again()
    return (yield from _far.unless_spread(judge(seen, target), far, context))


def host(target: str, harmless: str) -> str:
    """The name that a target stands for; the harmless one for an address, which no Host header or SNI names.

    Raises UsageError.
    """
    name = (urlsplit(target).hostname or "") if "://" in target else target.strip().rstrip(".")
    if not name or any(c.isspace() or c in "/?#@" for c in name):
        raise UsageError(f"{target!r} is neither a URL nor a host name")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower()
    return harmless
