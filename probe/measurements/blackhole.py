"""Addresses that are made to vanish: packets to them die on the way, while those to their neighbours arrive.

Rules and what fools them: `docs/measurements/blackhole.md` (Hubble, NSDI 2008).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from probe.measurements import Context, Part, Steps
from probe.measurements._hole.company import Wanted, check_networks, expand, prefix, resolve, version
from probe.measurements._hole.muster import Row, choose, conclude, sort_out
from probe.measurements._hole.verdict import Case, Court
from probe.measurements._hole.ways import Aim, survey
from probe.measurements._hole.witness import summon, weigh
from probe.measurements._judge import hops_away
from probe.measurements._reach import ICMP, UDP, Probe, Sight, patience, read, step, tcp
from probe.model.errors import UsageError
from probe.model.exchange import Step
from probe.model.finding import Judgement

VERSION = "2"

_FEW = 64  # pairs of address and port, up to which each is asked as often as there are trials
_AT_ONCE = 512  # steps of one batch, so that there is progress to tell
_MOST_REFERENCES = 4  # that are swept: what is common to so many ways is common to all
_SHARED = 4  # addresses that share a source port: a run has a thousand ports


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to reach, and who must answer if the line works."""

    target: Annotated[
        str, msgspec.Meta(description="Address, network (CIDR) or name to reach.", min_length=1, max_length=1024)
    ]
    targets: Annotated[list[str], msgspec.Meta(description="Further addresses, networks and names.")] = []
    names: Annotated[list[str], msgspec.Meta(description="Names hosted there: their addresses are targets too.")] = []
    ports: Annotated[
        list[Annotated[int, msgspec.Meta(ge=1, le=65535)]],
        msgspec.Meta(description="TCP ports to try, up to 16.", min_length=1, max_length=16),
    ] = msgspec.field(default_factory=lambda: [80, 443])
    siblings: Annotated[
        list[str],
        msgspec.Meta(description="Addresses that answer: of the same network, of the same company, neutral ones.",
                     max_length=32),
    ] = []  # fmt: skip
    control_address: Annotated[str, msgspec.Meta(description="Address of a server of ours.")] = ""
    resolver: Annotated[str, msgspec.Meta(description="Resolver for names.")] = ""
    operator_networks: Annotated[
        list[str],
        msgspec.Meta(description="Networks (CIDR) of the line's operator: a hole that is not in them accuses nobody."),
    ] = []
    reflector: Annotated[str, msgspec.Meta(description="A reflector abroad that can ask the one on the target.")] = ""
    peer: Annotated[
        str, msgspec.Meta(description="Name of the reflector on the target: it is asked what arrives there.")
    ] = ""
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Trials of each kind.")] = 3
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """References, then every address and port, then a closer look at a few that are silent, then references again."""
    o = options
    targets, names = expand([o.target, *o.targets, *o.names])
    siblings, wrong = expand([o.control_address, *o.siblings] if o.control_address else [])
    if not siblings or wrong:
        raise UsageError("blackhole needs --control-address, an address; and --siblings, if any, must be addresses")
    check_networks(o.operator_networks)
    known = {version(one.address) for one in siblings}
    targets, nameless = yield from _with_names(o, targets, names, known, context)
    given = {one.address for one in targets}
    references = [one.address for one in siblings if one.address not in given]
    context.progress(f"{len(references)} references")
    usual = max(context.baseline.of(address).patience for address in references)
    before = yield from _ask(references, o.ports, o.trials, "before", patience([], usual))
    wait = patience([s for sights in before.values() for s in sights], usual)
    rows = yield from _first_pass(o, targets, wait, context)
    cases: dict[Aim, Case] = {}
    for number in sorted({version(row.address) for row in rows}):
        mine = [row for row in rows if version(row.address) == number]
        voices = _voices({a: s for a, s in before.items() if version(a) == number}, mine)
        cases |= yield from _closer(o, mine, voices, wait, context)
    cases = yield from _witnessed(o, cases, wait, context)
    context.progress(f"{len(references)} references again")
    after = yield from _ask(references, o.ports, o.trials, "after", wait)
    # What was compared with another port of its own is asked for that port once more.
    twins = {row.address: row.voice for row in rows if row.answers and any(a.address == row.address for a in cases)}
    if twins:
        after |= yield from _each([(a, probe, f"twin{i}") for a, probe in twins.items() for i in range(o.trials)], wait)
    judgement = conclude(o.target, o.group, rows, cases, before, after, nameless)
    return _with_past(judgement, context)


def _with_past(judgement: Judgement, context: Context) -> Judgement:
    """The judgement, with what this line knew of the address before: whoever reads it sees whether that is new."""
    past = context.baseline.of(judgement.target.address)
    if not past.answered or judgement.verdict == "clean":
        return judgement
    away = " or ".join(str(hops_away(ttl)) for ttl in reversed(past.usual_ttls))
    told = f"Before, it answered {past.answered} of {past.asked} packets on this line, from {away} routers away."
    return msgspec.structs.replace(judgement, reasons=[*judgement.reasons, told])


def _with_names(
    o: Options, targets: list[Wanted], names: list[str], known: set[int], context: Context
) -> Part[tuple[list[Wanted], list[str]]]:
    """The targets with those that the names lead to, and the names that lead nowhere."""
    if not names:
        return targets, []
    if not o.resolver:
        raise UsageError("blackhole needs --resolver to find the addresses of names")
    found = yield from resolve(names, o.resolver, known, context.random)
    listed = {one.address: one for one in targets}
    for name, addresses in found.items():
        for address in addresses:
            listed[address] = Wanted(address, name)
    return list(listed.values()), [name for name, addresses in found.items() if not addresses]


def _witnessed(o: Options, cases: dict[Aim, Case], wait: float, context: Context) -> Part[dict[Aim, Case]]:
    """The cases, with what the host of the first silent address says through a witness, if it has a reflector."""
    aim = next((a for a, case in cases.items() if len(a.probes) > 1 and not case.rule.startswith("answers")), None)
    if not o.peer or not o.reflector or aim is None:
        return cases
    context.progress(f"asking {o.peer}, by way of {o.reflector}, what arrives there")
    said = yield from summon(aim.address, o.ports, o.reflector, o.peer, wait, context)
    return cases if said is None else cases | {aim: weigh(cases[aim], said, o.peer)}


Seen = dict[str, list[Sight]]
"""Address → what its probes showed."""


def _ask(addresses: list[str], ports: list[int], trials: int, flow: str, wait: float) -> Part[Seen]:
    """Each address: every kind of TCP probe in turn, and as many echoes."""
    asked = [(a, probe, f"{flow}{i}") for i in range(max(trials, len(ports))) for a in addresses
             for probe in (tcp(ports[i % len(ports)]), ICMP)]  # fmt: skip
    return (yield from _each(asked, wait))


def _each(asked: list[tuple[str, Probe, str]], wait: float) -> Part[Seen]:
    batch: list[Step] = [step(probe, address, flow, wait=wait) for address, probe, flow in asked]
    seen: Seen = {}
    for (address, probe, _), exchange in zip(asked, (yield batch), strict=True):
        seen.setdefault(address, []).append(read(probe, exchange))
    return seen


def _first_pass(o: Options, targets: list[Wanted], wait: float, context: Context) -> Part[list[Row]]:
    """Every address and port, from several source ports (where they are many: from a second one, if silent); then the
    silent addresses by other means."""
    pairs = [(one.address, tcp(port)) for one in targets for port in o.ports]
    places = {one.address: i // _SHARED for i, one in enumerate(targets)}
    seen: Seen = {one.address: [] for one in targets}

    def ask(probes: list[tuple[str, Probe]], flow: str, count: int = 1) -> Part[None]:
        asked = [(a, p, f"{flow}{i}.{places[a]}") for i in range(count) for a, p in probes]
        for start in range(0, len(asked), _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            context.progress(f"{flow}: {start + len(part)} of {len(asked)}")
            for address, sights in (yield from _each(part, wait)).items():
                seen[address] += sights

    few = len(pairs) <= _FEW
    yield from ask(pairs, "SYN", o.trials if few else 1)
    # Of a network in which nobody answers a few are looked at more closely: to ask them all again would show nothing.
    living = {prefix(a) for a, sights in seen.items() if any(s.answer for s in sights)}
    if not few:
        silent = [(a, probe) for a, probe in pairs if not any(s.answer for s in seen[a] if s.probe == probe)]
        yield from ask([(a, probe) for a, probe in silent if prefix(a) in living], "SYN again")
    mute = [a for a, sights in seen.items() if not any(s.answer for s in sights)]
    yield from ask([(a, ICMP) for a in mute if few or prefix(a) in living], "echo", o.trials if few else 1)
    return [sort_out(one, o.ports, seen[one.address]) for one in targets]


def _voices(before: Seen, rows: list[Row]) -> list[Aim]:
    """References, each with a kind of probe that it answers: first those that were given, then targets that answer."""
    found = []
    for address, sights in [*before.items(), *((row.address, row.sights) for row in rows)]:
        answered = [s.probe for s in sights if s.answer]
        if answered:
            found.append(Aim(address, (max(answered, key=lambda p: (p.kind == "tcp", answered.count(p))),)))
    return found[:_MOST_REFERENCES]


def _closer(
    o: Options, rows: list[Row], references: list[Aim], wait: float, context: Context
) -> Part[dict[Aim, Case]]:
    """The ways to a few silent addresses, and to a few silent ports of addresses that answer."""
    cases: dict[Aim, Case] = {}
    reach = max((s.hops for row in rows for s in row.sights if s.hops is not None), default=12)
    mute = choose([row for row in rows if not row.answers], context.random)
    silent = [Aim(address, (*map(tcp, o.ports), UDP, ICMP)) for address in mute]
    if silent and references:
        context.progress(f"the ways to {', '.join(aim.address for aim in silent)}")
        ways = yield from survey(silent, references, reach, wait)
        court = Court(ways, references, known=context.baseline, operator=o.operator_networks)
        cases |= {aim: court.judge(aim) for aim in silent}
        # Who turns out to answer after all, pings alone perhaps, has ports that are silent.
        for row in rows:
            row.sights.extend(s for aim in silent if aim.address == row.address for s in ways.full(aim) if s.answer)
    for row in [r for r in rows if r.odd_ports][:_MOST_REFERENCES]:
        context.progress(f"ports of {row.address}")
        odd = [Aim(row.address, (tcp(port),)) for port in row.odd_ports]
        twin = Aim(row.address, (row.voice,))
        # Where only pings of it are answered, others are asked over TCP as often: a NAT that has run out of ports (an
        # operator's shared one) shuts them out as well, but lets pings pass.
        peers = None if row.voice.kind == "tcp" else [r for r in references if r.probes[0].kind == "tcp"]
        ways = yield from survey(odd, [twin], reach, wait, peers or ())
        court = Court(ways, [twin], twin=True, known=context.baseline, operator=o.operator_networks, peers=peers)
        cases |= {aim: court.judge(aim) for aim in odd}
    return cases
