"""Resolvers that lie about a name, and queries that reach another resolver than the one asked.

Rules and what fools them: `docs/measurements/dns_resolver.md` (Satellite; OONI's data; RFC 1035, 2308, 8020).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from probe.measurements import Context, Part, Steps
from probe.measurements._resolver.ask import Asking
from probe.measurements._resolver.public import provider
from probe.measurements._resolver.seen import Seen, What, Who
from probe.measurements._resolver.verdict import judge
from probe.model.errors import UsageError
from probe.model.finding import Target

VERSION = "4"

_ROUNDS = 3
_NEED = 3


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask, whom, and whom to believe."""

    target: Annotated[str, msgspec.Meta(description="Name that may be lied about.", min_length=1, max_length=253)]
    resolver: Annotated[str, msgspec.Meta(description="The operator's own resolver, which the line is given.")] = ""
    control_resolver: Annotated[str, msgspec.Meta(description="A public resolver that is trusted.")] = ""
    control_name: Annotated[str, msgspec.Meta(description="A harmless name that both know.")] = ""
    silent: Annotated[str, msgspec.Meta(description="Address that runs no resolver: nobody may answer there.")] = ""
    reflector: Annotated[str, msgspec.Meta(description="Address of our far end, which tells who asked it.")] = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="UDP port of the resolvers.")] = 53
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Trials of each kind.")] = 3
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Controls, trials (more where they disagree), certificates, sweeps where it is odd, controls again; then judge."""
    if not options.control_name or not options.control_resolver:
        raise UsageError("dns-resolver needs --control-resolver and --control-name (and --resolver: the operator's)")
    name = options.target.rstrip(".").lower()
    seen = Seen(name, options.resolver, options.control_resolver, options.silent, options.control_name)
    seen.public = provider(options.resolver) if options.resolver else ""
    asking = Asking(seen, context, options.port, options.trials, options.reflector)
    context.progress(f"asking for {options.control_name} (control)")
    yield from asking.hello()
    yield from asking.controls("before")
    context.progress(f"asking for {name}")
    for _ in range(_ROUNDS):
        yield from asking.trials()
        if all(_enough(seen, who) for who in asking.resolvers) and _silence_clear(seen):
            break
    yield from asking.over_tcp()
    yield from _look_closer(seen, asking, context)
    yield from asking.controls("after")
    address = options.resolver or options.control_resolver
    return judge(seen, Target(options.target, name, address, options.port, options.group))


def _enough(seen: Seen, who: Who) -> bool:
    """Whether a resolver has answered each question often enough, the same kind of thing each time."""
    whats: tuple[What, ...] = ("target", "below", "absent")
    if any(len(seen.answers(what, who)) < _NEED for what in whats):
        return False
    return len({answer.kind for answer in seen.answers("target", who)}) == 1


def _silence_clear(seen: Seen) -> bool:
    """Whether the silent address is silent, or answers often enough to say that it does."""
    return not 0 < seen.answered("harmless", "silent")[0] < _NEED


def _look_closer(seen: Seen, asking: Asking, context: Context) -> Part[None]:
    """Certificates of the servers that were named, who asked the far end, and where odd answers come from."""
    context.progress("looking at the certificates of the servers that were named")
    yield from asking.servers("before")
    yield from asking.confirm("before")
    yield from asking.odd_servers()
    yield from asking.askers()
    context.progress("trying the other ways to ask a resolver")
    yield from asking.transports()
    if seen.answered("harmless", "silent")[0]:
        yield from asking.sweep("silent")
        yield from asking.turned("silent")
    elif seen.resolved_by("control", seen.resolver)[0]:
        yield from asking.sweep("control")
        yield from asking.turned("control")
    own = seen.answers("target", "resolver")
    if any(not any(seen.right(address) for address in answer.addresses) for answer in own):
        context.progress("finding out where the answers come from")
        yield from asking.zones()
        yield from asking.sweep("resolver")
    yield from asking.servers("after")
    yield from asking.confirm("after")
