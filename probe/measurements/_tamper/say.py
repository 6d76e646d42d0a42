"""How a judgement of `tampering` is said: confidence, what is ordinary, details."""

from __future__ import annotations

from typing import Any

from probe.measurements._judge import confidence_in
from probe.measurements._tamper.seen import TWINS, Kind, Look, Seen, option_changes
from probe.model.finding import Judgement, Tally, Target, Verdict

NONE = Tally(0, 0)



def ordinary(seen: Seen) -> list[str]:
    """Sentences on rewriting that networks do every day, and that accuses nobody."""
    found = []
    for kind, ports in seen.ports.items():
        if kind != "http":
            continue
        at_known = _options_changed(seen, "known")
        elsewhere = _options_changed(seen, "random")
        if at_known == elsewhere and at_known:
            found.append(f"Ordinary: the TCP options of a connection are changed on the way ({', '.join(at_known)}).")
        elif at_known != elsewhere:
            found.append(
                f"Connections to port {ports[0]} arrive with other TCP options ({', '.join(at_known) or 'unchanged'}) "
                f"than those to port {ports[1]} ({', '.join(elsewhere) or 'unchanged'}): a proxy opens them anew."
            )
    bleached = {sent: arrived[0] for sent, arrived in seen.tos.items() if arrived[0] not in (None, sent)}
    if bleached:
        words = ", ".join(f"0x{sent:02x} as 0x{arrived:02x}" for sent, arrived in bleached.items())
        found.append(f"Ordinary: the TOS byte (DSCP, ECN) is rewritten on the way ({words}).")
    return found


def _options_changed(seen: Seen, port: str) -> tuple[str, ...]:
    for (kind, _, cell), looks in seen.looks.items():
        if kind == "http" and cell[0] == port:
            for look in looks:
                if look.syn is not None:
                    return option_changes(look)
    return ()


def changes(touched: list[Look]) -> str:
    """What was changed, for a sentence."""
    words = list(dict.fromkeys(change for look in touched for change in look.changes))
    return ", ".join(words[:5]) + (" …" if len(words) > 5 else "")


def twin_told(seen: Seen, kind: Kind) -> str:
    """How the twin came through."""
    cell = seen.twin(kind)
    assert cell is not None  # noqa: S101 - only asked where there is one
    _, told = seen.touched(kind, cell)
    port = seen.ports[kind][0 if cell[0] == "known" else 1]
    name = seen.target if cell[1] == "target" else seen.harmless
    return f"{told} of {told} for {name} to port {port} of the same machine came through untouched, before and after"


def by_whom(touched: list[Look]) -> list[str]:
    """A sentence on who issued what was shown instead of our certificate, if anybody."""
    issuers = sorted({look.issuer for look in touched if look.issuer})
    return [f"The certificate that is shown instead was issued by {'; '.join(issuers[:3])}."] if issuers else []


def controls_of(seen: Seen, kind: Kind) -> Tally:
    """Looks at the twin."""
    cell = seen.twin(kind)
    if cell is None:
        made = sum(len(seen.looks[kind, phase, one]) for phase in ("before", "after") for one in TWINS)
        return Tally(made, 0)
    touched, told = seen.touched(kind, cell)
    return Tally(sum(len(seen.looks[kind, phase, cell]) for phase in ("before", "after")), told - touched)


def with_port(target: Target, port: int) -> Target:
    """The target, at that port."""
    return Target(target.input, target.name, target.address, port, target.group)


def say(
    seen: Seen, target: Target, rule: str, *reasons: str, verdict: Verdict = "inconclusive",
    trials: Tally = NONE, controls: Tally = NONE,
) -> Judgement:  # fmt: skip
    """Any verdict but interference."""
    return Judgement(
        verdict=verdict, rule=f"tampering/{rule}", target=target, trials=trials, controls=controls,
        confidence=confidence_in(verdict, trials, controls), reasons=list(reasons), details=details(seen),
    )  # fmt: skip


def details(seen: Seen) -> dict[str, Any]:
    """What was seen, for the finding."""
    return {
        "far": seen.far, "control_name": seen.harmless,
        "ports": {kind: list(ports) for kind, ports in seen.ports.items()},
        "looks": {
            f"{kind}, {phase}, {' port, '.join(cell)} name": [look.show() for look in looks]
            for (kind, phase, cell), looks in seen.looks.items()
        },
        "tcp_options": {port: list(_options_changed(seen, port)) for port in ("known", "random")},
        "tos": [{"sent": sent, "arrived": arrived[0]} for sent, arrived in seen.tos.items()],
        "tos_path": [{"ttl": ttl, "quoted": tos} for ttl, tos in sorted(seen.tos_path.items())],
        "sweeps": {kind: path.show() for kind, path in seen.paths.items()},
    }  # fmt: skip
