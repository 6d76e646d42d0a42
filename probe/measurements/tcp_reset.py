"""Connections that are cut, starved or answered by somebody else once they name a forbidden host.

Rules and what fools them: `docs/measurements/tcp_reset.md` (Weaver, Sommer, Paxson 2009; CenTrace; OONI).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from probe.measurements import Context, Part, Steps
from probe.measurements._dns.queries import Asker, replies
from probe.measurements._tcp.probe import Plan, ask
from probe.measurements._tcp.residual import remember
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import triggers
from probe.measurements._tcp.variants import reason, variants
from probe.measurements._tcp.verdict import judge
from probe.measurements._together import together
from probe.model.errors import CannotMeasure, UsageError
from probe.model.finding import Judgement, Target
from probe.wire import dns

VERSION = "4"

_RESOLVE_ATTEMPTS = 4


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask for, where, and what must be harmless."""

    target: Annotated[
        str, msgspec.Meta(description="URL, or a host name (HTTP and TLS are tried).", min_length=1, max_length=1024)
    ]
    address: Annotated[str, msgspec.Meta(description="The server's address; empty: the resolver is asked.")] = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535, description="TCP port; 0: the URL's.")] = 0
    control_name: Annotated[str, msgspec.Meta(description="A harmless name.")] = ""
    control_address: Annotated[str, msgspec.Meta(description="Address of a server of ours that answers any name.")] = ""
    resolver: Annotated[str, msgspec.Meta(description="Resolver for a target without an address.")] = ""
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Trials of each kind.")] = 3
    locate: Annotated[bool, msgspec.Meta(description="Sweep TTLs even where nothing looks odd.")] = False
    residual: Annotated[
        bool, msgspec.Meta(description="Where interference was found: how long it lasts (at most three minutes).")
    ] = False
    variants: Annotated[
        bool, msgspec.Meta(description="Where interference was found: which spellings of the name it catches.")
    ] = False
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Ask each trigger that the target stands for, side by side; the worst judgement is the measurement's."""
    if not options.control_name:
        raise UsageError("tcp-reset needs --control-name: a harmless name to compare with")
    wanted = triggers(options.target, options.port)
    address = options.address or (yield from _resolve(options, context, wanted[0].host))
    context.progress(f"connecting to {address} for {wanted[0].host}, and for {options.control_name} (control)")
    control = options.control_address if options.control_address != address else ""
    plans = [
        Plan(trigger, address, options.control_name, control, options.trials, options.locate,
             context.baseline.of(address))
        for trigger in wanted
    ]
    everything = yield from together([ask(plan, context.random) for plan in plans])
    judgements = [
        judge(seen, Target(options.target, seen.trigger.host, address, seen.trigger.port, options.group))
        for seen in everything
    ]
    for i, (plan, seen) in enumerate(zip(plans, everything, strict=True)):
        if judgements[i].verdict == "interfered":
            judgements[i] = yield from _further(options, context, plan, seen, judgements[i])
    return worst(judgements)


def _further(options: Options, context: Context, plan: Plan, seen: Seen, judgement: Judgement) -> Steps:
    """What more there is to know about the box. The verdict stands already, and stays."""
    reasons, details = list(judgement.reasons), dict(judgement.details)
    if options.variants:
        context.progress("trying other spellings")
        found = yield from variants(plan, seen, context.random)
        reasons.append(reason(found))
        details["variants"] = {v.form: {"blocked": v.blocked, "of": v.made, "twins_served": v.served} for v in found}
    if options.residual:
        context.progress("waiting until the box forgets")
        memory = yield from remember(plan, seen, context.random)
        reasons.append(memory.reason())
        details["residual"] = memory.show()
    return msgspec.structs.replace(judgement, reasons=reasons, details=details)


def worst(judgements: list[Judgement]) -> Judgement:
    """One judgement for a target that was asked in several ways: interference in one is interference; clean in one and
    no port in the other is clean."""
    order = {"interfered": 0, "clean": 2, "inconclusive": 1, "down": 3}
    usable = [j for j in judgements if "/handshake-" not in j.rule] or judgements
    chosen = min(usable, key=lambda j: (order[j.verdict], -j.confidence))
    others = [j for j in judgements if j is not chosen]
    if not others:
        return chosen
    also = [
        {"port": j.target.port, "verdict": j.verdict, "rule": j.rule, "reasons": j.reasons, "details": j.details}
        for j in others
    ]
    return msgspec.structs.replace(chosen, details={**chosen.details, "also": also})


def _resolve(options: Options, context: Context, host: str) -> Part[str]:
    """Ask the resolver for the host's address; several times, since queries get lost."""
    if not options.resolver:
        raise UsageError("tcp-reset needs --address (or a resolver to ask for it)")
    asker = Asker(context.random, 53)
    for attempt in range(_RESOLVE_ATTEMPTS):
        exchanges = yield [asker.ask(host, options.resolver, flow=f"resolve{attempt}")]
        for reply in replies(exchanges[0]):
            for said in sorted(reply.says):
                kind, _, address = said.partition(" ")
                if kind == str(dns.A):
                    return address
    raise CannotMeasure(f"{options.resolver} gave no address for {host}", "give --address")
